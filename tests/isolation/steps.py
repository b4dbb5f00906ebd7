"""What people do with MLflow's SDK here. Runs in their processes: arguments and results are plain values."""

from __future__ import annotations

import mlflow
from mlflow.tracing.utils.copy import copy_trace_to_experiment


def tag_trace(trace_id: str, key: str, value: str) -> None:
    mlflow.set_trace_tag(trace_id, key, value)


def trace_tag(trace_id: str, key: str) -> str | None:
    tags: dict[str, str] = mlflow.get_trace(trace_id).info.tags
    return tags.get(key)


def span_names(trace_id: str) -> list[str]:
    return sorted(span.name for span in mlflow.get_trace(trace_id).data.spans)


def copy_trace(trace_id: str) -> str:
    """Log a trace that was read from the server once more, as ``mlflow.genai.evaluate`` does."""
    trace = mlflow.get_trace(trace_id)
    return str(copy_trace_to_experiment(trace.to_dict(), experiment_id=trace.info.experiment_id))


def add_artifact(run_id: str, path: str, text: str) -> None:
    mlflow.MlflowClient().log_text(run_id, text, path)


def artifact(run_id: str, path: str) -> str:
    return str(mlflow.artifacts.load_text(f"runs:/{run_id}/{path}"))
