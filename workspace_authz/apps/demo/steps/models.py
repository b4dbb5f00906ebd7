"""What people do with models, for which scikit-learn is needed, too. Each returns a short account."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import mlflow
from mlflow import MlflowClient
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from workspace_authz.apps.demo.steps import tracking
from workspace_authz.apps.demo.steps.serving import serve
from workspace_authz.apps.demo.steps.tracking import IRIS

_NOTES: Final = {"dataset": "iris", "trained": "in a pod"}


def log_model() -> str:
    """Train, log and register a model and a file, then load both back and compare."""
    features, labels = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(features, labels)
    mlflow.set_experiment(IRIS)
    with mlflow.start_run(run_name="training") as run:
        mlflow.log_dict(_NOTES, "notes.json")
        # Named requirements spare MLflow the process with which it would find them out.
        info = mlflow.sklearn.log_model(
            model, name="model", registered_model_name=IRIS, pip_requirements=["scikit-learn"]
        )
    loaded = mlflow.sklearn.load_model(f"models:/{IRIS}/{info.registered_model_version}")
    same = bool((loaded.predict(features) == model.predict(features)).all())
    notes = mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/notes.json")
    return f"{'same' if same else 'other'} predictions, {'same' if notes == _NOTES else 'other'} file"


def load_model() -> str:
    """Download the newest version of the registered model and use it."""
    version = max(int(found.version) for found in MlflowClient().search_model_versions(f"name='{IRIS}'"))
    with TemporaryDirectory() as directory:
        path = mlflow.artifacts.download_artifacts(f"models:/{IRIS}/{version}", dst_path=directory)
        model = mlflow.sklearn.load_model(Path(path).as_uri())
    features, labels = load_iris(return_X_y=True)
    return "a good model" if model.score(features, labels) > 0.9 else "a bad model"


ACTIONS: Final = {**tracking.ACTIONS, "log_model": log_model, "load_model": load_model}

if __name__ == "__main__":
    serve(ACTIONS)
