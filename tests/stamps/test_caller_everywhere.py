"""``WORKSPACE_AUTHZ_END_USERS=caller``: the caller, also where an application names its own users."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.harness.sdk import sdk
from tests.harness.server import MlflowServer, ServerOptions, mlflow_server
from tests.scenarios.people import TEAM_A, Cluster
from tests.stamps import steps
from tests.stamps.conftest import ACCOUNT, API, API3, World, Writer
from tests.stamps.test_traces import (
    LOGIN,
    PEOPLE,
    VICTIM,
    export,
    kinds,
    metadata,
    new_id,
    read,
    spans,
    trace_info,
)
from workspace_authz.catalog.identity_stamps import RECORDED_BY

pytestmark = pytest.mark.xdist_group("stamps")


@pytest.fixture(scope="module")
def strict(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A server that writes the caller everywhere."""
    options = ServerOptions(
        kubeconfig=cluster.plane.server_kubeconfig, environment={"WORKSPACE_AUTHZ_END_USERS": "caller"}
    )
    with mlflow_server(tmp_path_factory.mktemp("strict"), options) as server:
        yield server


@pytest.fixture(scope="module")
def world(cluster: Cluster, strict: MlflowServer) -> World:
    """An experiment of team-a on that server."""
    people = cluster.people
    alice = Writer(people.alice.name, people.alice.token, strict)
    made = alice.do("POST", f"{API}/experiments/create", {"name": "strict"})
    return World(
        alice=alice,
        bob=Writer(people.bob.name, people.bob.token, strict),
        trainer=Writer(ACCOUNT, cluster.trainer, strict),
        experiment=str(made["experiment_id"]),
    )


def test_a_trace_names_its_caller_as_its_end_user(world: World) -> None:
    for writer in world.everybody:
        info = trace_info(world, trace_metadata={**PEOPLE, **LOGIN}, tags={**PEOPLE, **LOGIN})
        writer.do("POST", f"{API3}/traces", {"trace": {"trace_info": info}})
        people = {"mlflow.user": writer.name, "mlflow.trace.user": writer.name, "kept": "as it is"}
        assert metadata(world.alice, info["trace_id"]) == people


@pytest.mark.parametrize("kind", range(4))
def test_so_do_spans(world: World, kind: int) -> None:
    for writer in world.everybody:
        trace_id = new_id()
        content, headers = kinds(spans(trace_id, user__id=VICTIM, mlflow__traceTag__mlflow__user=VICTIM))[
            kind
        ]
        answer = export(writer, world, content, **headers)
        assert answer.status == 200, answer.text
        assert metadata(world.alice, trace_id) == {"mlflow.trace.user": writer.name}
        assert read(world.alice, trace_id)["tags"]["mlflow.user"] == writer.name


def test_feedback_that_a_service_passes_on_is_its_own(world: World) -> None:
    info = trace_info(world)
    world.alice.do("POST", f"{API3}/traces", {"trace": {"trace_info": info}})
    document = {
        "assessment_name": "good",
        "feedback": {"value": True},
        "create_time": "2026-01-01T00:00:00Z",
        "metadata": {RECORDED_BY: VICTIM, "kept": "1"},
    }
    for writer in world.everybody:
        source = {"source_type": "HUMAN", "source_id": VICTIM}
        made = writer.do(
            "POST",
            f"{API3}/traces/{info['trace_id']}/assessments",
            {"assessment": {**document, "source": source}},
        )["assessment"]
        assert (made["source"]["source_id"], made["metadata"]) == (writer.name, {"kept": "1"})
    machine = {"source_type": "LLM_JUDGE", "source_id": "gpt"}
    judged = world.trainer.do(
        "POST",
        f"{API3}/traces/{info['trace_id']}/assessments",
        {"assessment": {**document, "source": machine}},
    )
    assert judged["assessment"]["source"]["source_id"] == "gpt"


def test_the_sdk_reads_the_caller_back(
    cluster: Cluster, strict: MlflowServer, world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    session = f"session {secrets.token_hex(4)}"
    home = tmp_path_factory.mktemp("sdk")
    with sdk(strict.uri, home, token=cluster.trainer, workspace=TEAM_A) as trainer:
        trace_id = trainer.run(steps.trace, world.experiment, VICTIM, session)
        people = trainer.run(steps.trace_people, trace_id)
        assert people["mlflow.trace.user"] == ACCOUNT
        assert people["mlflow.trace.session"] == session
        assert trainer.run(steps.assess, trace_id, "HUMAN", VICTIM)["id"] == ACCOUNT
