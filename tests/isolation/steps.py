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


def work(name: str) -> dict[str, str]:
    """An experiment with a run and its file, a model of it in the registry, a prompt and a trace."""
    mlflow.set_experiment(name)
    client = mlflow.MlflowClient()
    with mlflow.start_run() as run:
        mlflow.log_metric("accuracy", 0.95)
        mlflow.log_text(f"weights of {name}", "model/weights.txt")
    client.create_registered_model(name)
    source = f"{run.info.artifact_uri}/model"
    version = client.create_model_version(name, source, run_id=run.info.run_id)
    prompt = mlflow.genai.register_prompt(f"prompt-of-{name}", "Hello {{name}}")
    with mlflow.start_span("asked") as span:
        span.set_inputs({"question": name})
    mlflow.flush_trace_async_logging()
    return {
        "run": run.info.run_id,
        "version": str(version.version),
        "prompt": prompt.template,
        "trace": span.trace_id,
    }


def found(name: str, trace_id: str) -> dict[str, str]:
    """What :func:`work` made, read again."""
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name(name).experiment_id])
    folder = client.get_model_version_download_uri(name, "1")
    return {
        "run": run.info.run_id,
        "artifact": str(mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/model/weights.txt")),
        "model": str(mlflow.artifacts.load_text(f"{folder}/weights.txt")),
        "prompt": str(mlflow.genai.load_prompt(f"prompts:/prompt-of-{name}/1").template),
        "span": mlflow.get_trace(trace_id).data.spans[0].name,
    }


def names() -> list[str]:
    """All experiments and registered models that there are."""
    client = mlflow.MlflowClient()
    experiments = [each.name for each in client.search_experiments()]
    return sorted([*experiments, *(each.name for each in client.search_registered_models())])
