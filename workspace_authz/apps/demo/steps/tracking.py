"""What people do with tracking, for which MLflow alone is needed. Each returns a short account of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Final

import mlflow
from mlflow import MlflowClient

from workspace_authz.apps.demo.steps.serving import serve

IRIS: Final = "iris"
"""The experiment and the registered model of ``models.py``."""


def list_workspaces() -> str:
    """The workspaces that the caller is shown."""
    return ", ".join(sorted(workspace.name for workspace in mlflow.list_workspaces())) or "none"


def smoke_test() -> str:
    """The smoke test of Red Hat OpenShift AI's documentation, without its pauses, read back."""
    mlflow.set_experiment("demo-experiment")
    with mlflow.start_run(run_name="demo-run") as run:
        mlflow.log_param("model_type", "baseline")
        mlflow.log_param("feature_count", 3)
        for step in range(5):
            mlflow.log_metric("accuracy", 0.8 + random.random() * 0.2, step=step)  # noqa: S311 - no secret
            mlflow.log_metric("loss", 0.5 - random.random() * 0.2, step=step)  # noqa: S311 - no secret
    status = mlflow.get_run(run.info.run_id).info.status
    history = MlflowClient().get_metric_history(run.info.run_id, "accuracy")
    return f"run {status}, {len(history)} accuracies"


def read_runs() -> str:
    """The newest run of the smoke test."""
    experiment = mlflow.get_experiment_by_name("demo-experiment")
    if experiment is None:
        return "no experiment"
    runs = mlflow.search_runs([experiment.experiment_id], max_results=1, output_format="list")
    return f"{runs[0].info.run_name}, {runs[0].data.params['model_type']}" if runs else "no runs"


def create_experiment() -> str:
    """An experiment of one's own."""
    mlflow.create_experiment(f"mine-{random.randrange(10**9)}")  # noqa: S311 - no secret
    return "created"


def delete_experiment() -> str:
    """Delete the experiment of the model."""
    experiment = mlflow.get_experiment_by_name(IRIS)
    if experiment is None:
        return "no experiment"
    mlflow.delete_experiment(experiment.experiment_id)
    return "deleted"


ACTIONS: Final[Mapping[str, Callable[[], str]]] = {
    action.__name__: action
    for action in (list_workspaces, smoke_test, read_runs, create_experiment, delete_experiment)
}

if __name__ == "__main__":
    serve(ACTIONS)
