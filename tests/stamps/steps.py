"""What people do with MLflow's SDK here. Runs in their processes: arguments and results are plain values."""

from __future__ import annotations

from typing import Any

import mlflow
from mlflow.entities import AssessmentSource, Feedback


def start_run(experiment_id: str) -> tuple[str, str | None]:
    """The author of a new run, by ``user_id`` and by tag."""
    with mlflow.start_run(experiment_id=experiment_id, tags={"mlflow.user": "carol"}) as started:
        mlflow.set_tag("mlflow.user", "carol")
    run = mlflow.get_run(started.info.run_id)
    return str(run.info.user_id), run.data.tags.get("mlflow.user")


def trace(experiment_id: str, user: str | None = None, session: str | None = None) -> str:
    """A trace, with an end user and a session."""
    mlflow.set_experiment(experiment_id=experiment_id)
    with mlflow.start_span("answer") as span:
        if user is not None:
            mlflow.update_current_trace(user=user, session_id=session)
    mlflow.flush_trace_async_logging()
    return str(span.trace_id)


def trace_people(trace_id: str) -> dict[str, str]:
    """What a trace's metadata and tags say of people."""
    info = mlflow.get_trace(trace_id).info
    found = {**info.tags, **info.trace_metadata}
    return {key: value for key, value in found.items() if "user" in key or "session" in key}


def assess(trace_id: str, source_type: str, source_id: str) -> dict[str, Any]:
    """The source of a new assessment."""
    source = AssessmentSource(source_type=source_type, source_id=source_id)
    made = mlflow.log_assessment(trace_id, Feedback(name="good", value=True, source=source))
    recorder = (made.metadata or {}).get("mlflow.kubeflow.org/recorded-by")
    return {"type": made.source.source_type, "id": made.source.source_id, "recorder": recorder}


def make_dataset(experiment_id: str, name: str) -> dict[str, Any]:
    """Who made a dataset and its records, which were sent with another's tag."""
    dataset = mlflow.genai.datasets.create_dataset(
        name=name, experiment_id=[experiment_id], tags={"mlflow.user": "carol", "stage": "one"}
    )
    records = [
        {"inputs": {"question": "?"}, "expectations": {"answer": 0.1}, "tags": {"mlflow.user": "carol"}},
        {"inputs": {"question": "!"}},
    ]
    dataset.merge_records(records)
    again = mlflow.genai.datasets.get_dataset(dataset_id=dataset.dataset_id)
    return {
        "id": again.dataset_id,
        "people": [again.created_by, again.last_updated_by],
        "inputs": sorted(row["question"] for row in again.to_df()["inputs"]),
        "tags": dict(again.tags),
    }
