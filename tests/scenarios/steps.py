"""What people do with MLflow's SDK. Runs in their processes: arguments and results are plain values."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.tracking.request_auth import kubernetes_request_auth_provider as provider


def work_in(workspace: str) -> None:
    """``mlflow.set_workspace``."""
    mlflow.set_workspace(workspace)


def create_experiment(name: str) -> str:
    return str(mlflow.create_experiment(name))


def delete_experiment(experiment_id: str) -> None:
    MlflowClient().delete_experiment(experiment_id)


def experiment_by_name(name: str) -> str | None:
    found = mlflow.get_experiment_by_name(name)
    return None if found is None else str(found.experiment_id)


def experiment_names() -> list[str]:
    return sorted(found.name for found in mlflow.search_experiments())


def log_run(experiment_id: str, *, metric: float = 0.5) -> str:
    """A run with a metric, a parameter and a tag."""
    with mlflow.start_run(experiment_id=experiment_id, run_name="scenario") as run:
        mlflow.log_metric("accuracy", metric)
        mlflow.log_param("depth", 3)
        mlflow.set_tag("purpose", "scenario")
    return str(run.info.run_id)


def create_run(experiment_id: str) -> str:
    return str(MlflowClient().create_run(experiment_id).info.run_id)


def run_content(run_id: str) -> dict[str, Any]:
    """Metric, parameter, tag and status of a run."""
    run = mlflow.get_run(run_id)
    return {
        "metrics": dict(run.data.metrics),
        "params": dict(run.data.params),
        "purpose": run.data.tags.get("purpose"),
        "status": run.info.status,
    }


def run_ids(experiment_ids: Sequence[str]) -> list[str]:
    found = MlflowClient().search_runs(list(experiment_ids), run_view_type=ViewType.ACTIVE_ONLY)
    return sorted(run.info.run_id for run in found)


def upload(run_id: str, name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, name)
        file.write_bytes(content)
        MlflowClient().log_artifact(run_id, str(file))


def download(run_id: str, name: str) -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        file = MlflowClient().download_artifacts(run_id, name, dst_path=directory)
        return Path(file).read_bytes()


def artifacts(run_id: str) -> list[str]:
    return sorted(item.path for item in MlflowClient().list_artifacts(run_id))


def create_model(name: str) -> str:
    return str(MlflowClient().create_registered_model(name).name)


def create_version(name: str, run_id: str) -> str:
    made = MlflowClient().create_model_version(name, source=f"runs:/{run_id}/model", run_id=run_id)
    return str(made.version)


def move_to_stage(name: str, version: str, stage: str) -> str:
    """A stage of old, as people's scripts still have it. Returns the stage that MLflow says."""
    with warnings.catch_warnings(action="ignore", category=FutureWarning):
        moved = MlflowClient().transition_model_version_stage(name, version, stage)
    return str(moved.current_stage)


def delete_model(name: str) -> None:
    MlflowClient().delete_registered_model(name)


def get_model(name: str) -> str:
    return str(MlflowClient().get_registered_model(name).name)


def model_names() -> list[str]:
    return sorted(found.name for found in MlflowClient().search_registered_models())


def trace(experiment_id: str, name: str = "think") -> str:
    """A trace of one span."""
    mlflow.set_experiment(experiment_id=experiment_id)
    with mlflow.start_span(name) as span:
        span.set_inputs({"question": "?"})
        span.set_outputs({"answer": "!"})
    return str(span.trace_id)


def trace_ids(experiment_id: str) -> list[str]:
    found = MlflowClient().search_traces(locations=[experiment_id])
    return sorted(item.info.trace_id for item in found)


def register_prompt(name: str, template: str) -> int:
    return int(mlflow.genai.register_prompt(name=name, template=template).version)


def load_prompt(name: str) -> str:
    return str(mlflow.genai.load_prompt(f"prompts:/{name}/1").template)


def create_dataset(name: str, experiment_id: str) -> str:
    made = mlflow.genai.datasets.create_dataset(name=name, experiment_id=[experiment_id])
    made.merge_records([{"inputs": {"question": "?"}, "expectations": {"answer": "!"}}])
    return str(made.dataset_id)


def experiment_pages(size: int, text: str = "") -> list[list[str]]:
    """The names of experiments, page by page."""
    return _pages(MlflowClient().search_experiments, size, text)


def model_pages(size: int, text: str = "") -> list[list[str]]:
    """The names of registered models, page by page."""
    return _pages(MlflowClient().search_registered_models, size, text)


def _pages(search: Callable[..., Any], size: int, text: str) -> list[list[str]]:
    pages: list[list[str]] = []
    token = None
    while token or not pages:
        found = search(filter_string=text, max_results=size, order_by=["name ASC"], page_token=token)
        pages.append([each.name for each in found])
        token = found.token
    return pages


def workspace_names() -> list[str]:
    return sorted(found.name for found in mlflow.list_workspaces())


def work_by_name(name: str) -> tuple[str, str, str]:
    """All that a training script does in an experiment that it knows by name. Run, logged model, trace."""
    mlflow.set_experiment(name)
    with mlflow.start_run() as run:
        mlflow.log_metric("accuracy", 0.5)
        mlflow.log_param("depth", 3)
        mlflow.set_tag("purpose", "scenario")
        mlflow.log_text("content", "note.txt")
        model = mlflow.initialize_logged_model(name="net", source_run_id=run.info.run_id)
        MlflowClient().log_metric(run.info.run_id, "loss", 0.1, model_id=model.model_id)
        mlflow.finalize_logged_model(model.model_id, "READY")
    with mlflow.start_span("think") as span:
        span.set_inputs({"question": "?"})
    mlflow.flush_trace_async_logging()
    mlflow.set_trace_tag(span.trace_id, "seen", "yes")
    return str(run.info.run_id), str(model.model_id), str(span.trace_id)


def trace_names(trace_id: str) -> list[str]:
    """The names of a trace's spans."""
    return [span.name for span in mlflow.get_trace(trace_id).data.spans]


def registered_version(name: str, run_id: str) -> str:
    """A new version of a model, tagged, aliased and loaded by its alias."""
    client = MlflowClient()
    made = client.create_model_version(name, source=f"runs:/{run_id}/model", run_id=run_id)
    client.set_model_version_tag(name, made.version, "tested", "yes")
    client.set_registered_model_alias(name, "candidate", made.version)
    return str(client.get_model_version_by_alias(name, "candidate").version)


def dataset_records(dataset_id: str) -> int:
    """How many records an evaluation dataset has."""
    return len(mlflow.genai.datasets.get_dataset(dataset_id=dataset_id).to_df())


def in_a_pod(account_files: str) -> None:
    """Authenticate and work as a pod does: with the files that a kubelet mounts.

    Their paths are constants of MLflow's, under /var/run/secrets.
    """
    os.environ.pop("MLFLOW_TRACKING_TOKEN", None)
    os.environ.pop("MLFLOW_WORKSPACE", None)
    os.environ["MLFLOW_TRACKING_AUTH"] = "kubernetes-namespaced"
    provider._SERVICE_ACCOUNT_TOKEN_PATH = Path(account_files, "token")
    provider._SERVICE_ACCOUNT_NAMESPACE_PATH = Path(account_files, "namespace")


def log_model(name: str) -> str:
    """Log a model with its files in a run, and register it."""
    mlflow.set_experiment("trained")
    with mlflow.start_run() as run:
        mlflow.log_metric("accuracy", 0.9)
        mlflow.pyfunc.log_model(
            name="model",
            python_model=Echo(),
            pip_requirements=[],
            registered_model_name=name,
        )
    return str(run.info.run_id)


def predict(name: str, value: str) -> list[str]:
    """Load version 1 of a registered model and ask it."""
    return list(mlflow.pyfunc.load_model(f"models:/{name}/1").predict([value]))


class Echo(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # MLflow is not followed by mypy
    """Says what it is told."""

    def predict(self, model_input: list[str]) -> list[str]:
        return model_input
