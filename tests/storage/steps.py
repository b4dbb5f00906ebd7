"""What people do with the SDK in these tests. Each runs in the person's own process."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow import MlflowClient

_DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Work:
    """What one experiment holds."""

    experiment: str
    run: str
    model: str
    trace: str


class Echo(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # MLflow is not followed by mypy
    """The smallest model."""

    def predict(self, model_input: list[str]) -> list[str]:
        """What came in."""
        return model_input


def work(name: str) -> Work:
    """An experiment with a run, a file, a logged model, a registered one, and a trace."""
    experiment = mlflow.set_experiment(name)
    with mlflow.start_run() as run:
        mlflow.log_text("content", "note.txt")
        info = mlflow.pyfunc.log_model(
            name="model", python_model=Echo(), pip_requirements=["mlflow"], registered_model_name=name
        )
    trace = old_trace(name, days=0)
    return Work(experiment.experiment_id, run.info.run_id, info.model_id, trace)


def old_trace(experiment: str, days: int) -> str:
    """A trace that began so many days ago."""
    mlflow.set_experiment(experiment)
    began = time.time_ns() - days * _DAY_NS
    span = mlflow.start_span_no_context("question", inputs={"of": experiment}, start_time_ns=began)
    span.set_outputs({"answer": 42})
    span.end(end_time_ns=began + 10**6)
    mlflow.flush_trace_async_logging()
    return str(span.trace_id)


def spans_of(trace: str) -> list[object]:
    """What went into the trace's spans."""
    return [span.inputs for span in MlflowClient().get_trace(trace).data.spans]


def delete_work(doomed: Work, kept: Work) -> None:
    """The first experiment as a whole; of the other one the run and the model only."""
    client = MlflowClient()
    client.delete_experiment(doomed.experiment)
    client.delete_run(kept.run)
    client.delete_logged_model(kept.model)


def delete_registered(name: str) -> None:
    """A registered model."""
    MlflowClient().delete_registered_model(name)


def create_experiment(name: str) -> str:
    """Its id."""
    return str(mlflow.create_experiment(name))


def upload(name: str, file: str, size: int) -> str:
    """A file of so many bytes in a new run of an experiment. Returns the run's id."""
    path = Path(file)
    path.write_bytes(bytes(range(256)) * (size // 256))
    mlflow.set_experiment(name)
    with mlflow.start_run() as run:
        mlflow.log_artifact(file)
    return str(run.info.run_id)


def digest(run: str, file: str, directory: str) -> str:
    """Of what a download of the artifact brings."""
    path = mlflow.artifacts.download_artifacts(run_id=run, artifact_path=file, dst_path=directory)
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def predicts(model: str) -> bool:
    """Whether the newest version of the registered model is loaded and answers."""
    version = max(int(found.version) for found in MlflowClient().search_model_versions(f"name='{model}'"))
    return bool(mlflow.pyfunc.load_model(f"models:/{model}/{version}").predict(["x"]) == ["x"])


def experiment_names(name: str) -> list[str]:
    """The experiments of this name."""
    return [each.name for each in mlflow.search_experiments(filter_string=f"name = '{name}'")]
