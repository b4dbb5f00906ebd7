"""The things people do in the tour, in the words of MLflow's SDK. Each returns a short account of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import mlflow
from mlflow import MlflowClient
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

_NOTES: Final = {"dataset": "iris", "trained": "in a pod"}
_IRIS: Final = "iris"


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


def log_model() -> str:
    """Train, log and register a model and a file, then load both back and compare."""
    features, labels = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(features, labels)
    mlflow.set_experiment(_IRIS)
    with mlflow.start_run(run_name="training") as run:
        mlflow.log_dict(_NOTES, "notes.json")
        # Named requirements spare MLflow the process with which it would find them out.
        info = mlflow.sklearn.log_model(
            model, name="model", registered_model_name=_IRIS, pip_requirements=["scikit-learn"]
        )
    loaded = mlflow.sklearn.load_model(f"models:/{_IRIS}/{info.registered_model_version}")
    same = bool((loaded.predict(features) == model.predict(features)).all())
    notes = mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/notes.json")
    return f"{'same' if same else 'other'} predictions, {'same' if notes == _NOTES else 'other'} file"


def load_model() -> str:
    """Download the newest version of the registered model and use it."""
    version = max(int(found.version) for found in MlflowClient().search_model_versions(f"name='{_IRIS}'"))
    with TemporaryDirectory() as directory:
        path = mlflow.artifacts.download_artifacts(f"models:/{_IRIS}/{version}", dst_path=directory)
        model = mlflow.sklearn.load_model(Path(path).as_uri())
    features, labels = load_iris(return_X_y=True)
    return "a good model" if model.score(features, labels) > 0.9 else "a bad model"


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
    experiment = mlflow.get_experiment_by_name(_IRIS)
    if experiment is None:
        return "no experiment"
    mlflow.delete_experiment(experiment.experiment_id)
    return "deleted"


ACTIONS: Final[Mapping[str, Callable[[], str]]] = {
    action.__name__: action
    for action in (
        list_workspaces,
        smoke_test,
        log_model,
        load_model,
        read_runs,
        create_experiment,
        delete_experiment,
    )
}
