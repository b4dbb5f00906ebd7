"""What pods of a team run. Each function's source becomes the pod's program, so each imports for itself."""

# ruff: noqa: PLC0415
from __future__ import annotations


def train() -> None:
    """Log a run with an artifact, a model that can predict, and a trace of long ago."""
    import time

    import mlflow
    import mlflow.sklearn
    import numpy
    from sklearn.linear_model import LinearRegression

    mlflow.set_experiment("houses")
    with mlflow.start_run(run_name="first") as run:
        mlflow.log_metric("accuracy", 0.9)
        mlflow.log_text("from a pod", "notes/said.txt")
        model = LinearRegression().fit(numpy.array([[1.0], [2.0]]), numpy.array([2.0, 4.0]))
        mlflow.sklearn.log_model(model, name="model", registered_model_name="prices")
    began = time.time_ns() - 40 * 86_400 * 10**9
    span = mlflow.start_span_no_context("question", inputs={"about": "a price"}, start_time_ns=began)
    span.end(end_time_ns=began + 10**6)
    mlflow.flush_trace_async_logging()
    said = mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/notes/said.txt")
    print(f"logged by {run.data.tags.get('mlflow.user')}: {said}")


def discard() -> None:
    """Delete an experiment whose run has a file."""
    import mlflow

    mlflow.set_experiment("discarded")
    with mlflow.start_run():
        mlflow.log_text("useless", "useless.txt")
    mlflow.delete_experiment(mlflow.get_experiment_by_name("discarded").experiment_id)


def discard_again() -> None:
    """Take the name that was deleted for another experiment."""
    import mlflow

    print(f"free again: {mlflow.create_experiment('discarded').isdecimal()}")


def recall() -> None:
    """Read the spans of the only trace."""
    import mlflow

    (trace,) = mlflow.search_traces(
        experiment_ids=[mlflow.get_experiment_by_name("houses").experiment_id], return_type="list"
    )
    print(f"asked {[span.inputs for span in mlflow.get_trace(trace.info.trace_id).data.spans]}")


def predict() -> None:
    """Load what an init container fetched, without MLflow's server, and predict."""
    import mlflow.pyfunc
    import numpy

    model = mlflow.pyfunc.load_model("/mnt/models")
    print(f"predicted {model.predict(numpy.array([[3.0]]))[0]:.1f}")
