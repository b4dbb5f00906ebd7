"""Conversations that a person seeds: traces with sessions, end users and attachments, read back unchanged.

So does the suite of OpenShift AI's operator before an upgrade, and compares afterwards.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.tracing.attachments import Attachment

from tests.harness.sdk import Sdk
from tests.harness.server import MlflowServer
from tests.scenarios import steps
from tests.scenarios.conftest import As
from tests.scenarios.people import TEAM_A, Cluster

PICTURE: Final = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 64
ATTACHMENT: Final = "/ajax-api/3.0/mlflow/get-trace-artifact"
Turn = tuple[str, str, str]
"""Session, end user, and what was said."""


def seed(experiment_id: str, turns: list[Turn]) -> list[str]:
    """A trace for each turn. Each has an attachment, a tag and feedback of the end user."""
    mlflow.set_experiment(experiment_id=experiment_id)
    made = []
    for session, user, said in turns:
        with mlflow.start_span("turn") as span:
            picture = Attachment(content_type="image/png", content_bytes=PICTURE + said.encode())
            span.set_inputs({"said": said, "picture": picture})
            mlflow.update_current_trace(session_id=session, user=user, tags={"channel": "chat"})
            with mlflow.start_span("think") as inner:
                inner.set_outputs({"answer": said.upper()})
        made.append(str(span.trace_id))
    mlflow.flush_trace_async_logging()
    return made


def of_session(experiment_id: str, session: str) -> list[dict[str, Any]]:
    """The traces of a session as the SDK finds and reads them, in the order of their time."""
    found = MlflowClient().search_traces(
        locations=[experiment_id],
        filter_string=f"metadata.`mlflow.trace.session` = '{session}'",
        order_by=["timestamp_ms ASC"],
    )
    return [read(trace.info.trace_id) for trace in found]


def read(trace_id: str) -> dict[str, Any]:
    """What was seeded."""
    trace = mlflow.get_trace(trace_id)
    metadata = trace.info.trace_metadata
    root = trace.data.spans[0]
    attachment = Attachment.parse_ref(root.inputs["picture"])
    assert attachment is not None
    return {
        "trace": trace_id,
        "session": metadata["mlflow.trace.session"],
        "user": metadata["mlflow.trace.user"],
        "channel": trace.info.tags["channel"],
        "said": root.inputs["said"],
        "answer": trace.data.spans[1].outputs["answer"],
        "attachment": (attachment["attachment_id"], attachment["content_type"], attachment["size"]),
    }


@pytest.fixture(scope="module")
def alice(using_sdk: As, cluster: Cluster) -> Sdk:
    return using_sdk(token=cluster.people.alice.token, workspace=TEAM_A)


def test_what_a_person_seeded_is_read_back_unchanged(
    alice: Sdk, using_sdk: As, server: MlflowServer, cluster: Cluster
) -> None:
    """Given two sessions seeded by a person, when it and a service account read, then both see the same."""
    mark = secrets.token_hex(4)
    first, second = f"session-{mark}-1", f"session-{mark}-2"
    turns = [(first, "customer-7", "hello"), (second, "customer-8", "hi"), (first, "customer-7", "bye")]
    experiment = alice.run(steps.create_experiment, f"conversations-{mark}")
    traces = alice.run(seed, experiment, turns)
    trainer = using_sdk(token=cluster.trainer, workspace=TEAM_A)
    for reader in (alice, trainer):
        for session in (first, second):
            expected = [
                (trace, *turn) for trace, turn in zip(traces, turns, strict=True) if turn[0] == session
            ]
            found = reader.run(of_session, experiment, session)
            assert [(one["trace"], one["session"], one["user"], one["said"]) for one in found] == expected
            assert all(one["channel"] == "chat" and one["answer"] == one["said"].upper() for one in found)
    for trace, (_, _, said) in zip(traces, turns, strict=True):
        key, kind, size = alice.run(read, trace)["attachment"]
        content = PICTURE + said.encode()
        assert (kind, size) == ("image/png", len(content))
        path = f"{ATTACHMENT}?request_id={trace}&path={key}"
        for token in (cluster.people.alice.token, cluster.trainer):
            answer = server.ask("GET", path, token=token, workspace=TEAM_A)
            assert (answer.status, answer.body) == (200, content), answer.text[:300]
        assert server.ask("GET", path, token=cluster.unbound, workspace=TEAM_A).status == 403


def test_who_seeded_them_is_recorded_beside_it(alice: Sdk, using_sdk: As, cluster: Cluster) -> None:
    """Given a trace of a person for an end user, then its author is the person whoever it was made for."""
    experiment = alice.run(steps.create_experiment, f"conversations-{secrets.token_hex(4)}")
    (trace,) = alice.run(seed, experiment, [("a-session", "customer-9", "hello")])
    assert alice.run(metadata_of, trace)["mlflow.user"] == "alice"


def metadata_of(trace_id: str) -> dict[str, str]:
    """A trace's metadata and tags."""
    info = mlflow.get_trace(trace_id).info
    return {**info.tags, **info.trace_metadata}
