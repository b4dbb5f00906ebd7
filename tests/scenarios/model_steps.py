"""What people log and register for others to fetch. Runs in their processes, as ``steps``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import mlflow
import mlflow.sklearn
from mlflow import MlflowClient
from sklearn.linear_model import LogisticRegression

FEATURES = [[0.0, 1.0], [1.0, 0.0], [2.0, 3.0], [3.0, 1.0]]


def register_model(experiment: str, name: str, *, labels: list[int]) -> dict[str, Any]:
    """Train, log and register a model, with a file beside it. Returns where it is, and what it predicts."""
    experiment_id = MlflowClient().create_experiment(experiment) if not _exists(experiment) else None
    mlflow.set_experiment(experiment_id=experiment_id, experiment_name=None if experiment_id else experiment)
    model = LogisticRegression().fit(FEATURES, labels)
    with mlflow.start_run() as run, tempfile.TemporaryDirectory() as folder:
        logged = mlflow.sklearn.log_model(
            model, name="model", registered_model_name=name, pip_requirements=["scikit-learn"]
        )
        Path(folder, "ä note.txt").write_text("hello")
        mlflow.log_artifact(str(Path(folder, "ä note.txt")), "notes")
    return {
        "run": run.info.run_id,
        "model": logged.model_id,
        "version": str(logged.registered_model_version),
        "predicts": [int(each) for each in model.predict(FEATURES)],
    }


def _exists(experiment: str) -> bool:
    return mlflow.get_experiment_by_name(experiment) is not None


def promote(name: str, version: str, *, stage: str, alias: str) -> None:
    """Give a version a stage and an alias."""
    client = MlflowClient()
    client.transition_model_version_stage(name, version, stage)
    client.set_registered_model_alias(name, alias, version)


def log_large(experiment: str, *, size: int, count: int = 1) -> str:
    """A run with files of that many bytes in the folder ``large``."""
    mlflow.set_experiment(experiment)
    with mlflow.start_run() as run, tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            Path(folder, f"{number}.bin").write_bytes(large(size, number))
        mlflow.log_artifacts(folder, "large")
    return str(run.info.run_id)


def large(size: int, number: int = 0) -> bytes:
    """What the file with that number holds: no two chunks of it are the same."""
    return b"".join(f"{number}:{place:015d}\n".encode() for place in range(size // 16 + 1))[:size]


def predictions(folder: str) -> list[int]:
    """What the model in ``folder`` predicts."""
    return [int(each) for each in mlflow.pyfunc.load_model(folder).predict(FEATURES)]
