"""Names of objects, asked of a real MLflow database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, TypedDict

import pytest
from mlflow.store.tracking.dbmodels.models import SqlTraceInfo, SqlTraceMetadata
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.workspace_context import WorkspaceContext
from sqlalchemy import update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from tests.harness.fakes import ManualClock
from tests.mlflow_adapter.world import TEAM_A, TEAM_B, World, populate
from workspace_authz.catalog.model import Identifier
from workspace_authz.errors import UnavailableError
from workspace_authz.mlflow_adapter.store.objects import EXPERIMENT_ID_SECONDS, StoreObjects
from workspace_authz.types import Resource

OF_EXPERIMENTS = (
    Identifier.EXPERIMENT_ID,
    Identifier.RUN_ID,
    Identifier.TRACE_ID,
    Identifier.NEW_TRACE_ID,
    Identifier.LOGGED_MODEL_ID,
    Identifier.ISSUE_ID,
    Identifier.SCORER_ID,
    Identifier.JOB_ID,
)
KINDS = (
    *((Resource.EXPERIMENTS, identifier, "experiment") for identifier in OF_EXPERIMENTS),
    (Resource.DATASETS, Identifier.DATASET_ID, "dataset"),
    (Resource.GATEWAY_SECRETS, Identifier.SECRET_ID, "secret"),
    (Resource.GATEWAY_SECRETS, Identifier.MODEL_DEFINITION_ID, "secret"),
    (Resource.GATEWAY_MODEL_DEFINITIONS, Identifier.MODEL_DEFINITION_ID, "definition"),
)


class ByIdentifier(TypedDict):
    """What is looked for, and by what."""

    resource: Resource
    identifier: Identifier


RUN: Final[ByIdentifier] = {"resource": Resource.EXPERIMENTS, "identifier": Identifier.RUN_ID}
EXPERIMENT: Final[ByIdentifier] = {"resource": Resource.EXPERIMENTS, "identifier": Identifier.EXPERIMENT_ID}


@pytest.fixture
def objects(world: World, clock: ManualClock) -> Iterator[StoreObjects]:
    found = StoreObjects(
        lambda: world.store.ManagedSessionMaker,
        registry=lambda: None,
        workspaces=True,
        monotonic=clock.monotonic,
    )
    yield found
    found.close()


@pytest.mark.parametrize(("resource", "identifier", "kind"), KINDS)
async def test_an_id_leads_to_the_name_in_its_workspace_only(
    objects: StoreObjects, world: World, resource: Resource, identifier: Identifier, kind: str
) -> None:
    value = world.ids[TEAM_A][identifier]
    assert await objects.names([value], resource=resource, identifier=identifier, workspace=TEAM_A) == {
        value: f"{kind}-of-{TEAM_A}"
    }
    assert await objects.names([value], resource=resource, identifier=identifier, workspace=TEAM_B) == {}


async def test_what_does_not_exist_and_what_is_of_another_kind_have_no_name(
    objects: StoreObjects, world: World
) -> None:
    run = world.ids[TEAM_A][Identifier.RUN_ID]
    for resource, identifier in (
        (Resource.EXPERIMENTS, Identifier.TRACE_ID),
        (Resource.DATASETS, Identifier.RUN_ID),
    ):
        assert await objects.names([run], resource=resource, identifier=identifier, workspace=TEAM_A) == {}
    for nothing in ("", "no-such", "\0", "x" * 5000, run.upper(), f" {run}"):
        assert await objects.names([nothing], **RUN, workspace=TEAM_A) == {}


async def test_a_trace_of_the_gateway_leads_to_its_endpoint(objects: StoreObjects, world: World) -> None:
    trace = world.ids[TEAM_A][Identifier.TRACE_ID]
    asked: ByIdentifier = {
        "resource": Resource.GATEWAY_ENDPOINTS,
        "identifier": Identifier.GATEWAY_TRACE_ID,
    }
    assert await objects.names([trace], **asked, workspace=TEAM_A) == {}
    with world.store.ManagedSessionMaker(read_only=False) as session:
        session.add(SqlTraceMetadata(request_id=trace, key="mlflow.gateway.endpointId", value="e-1"))
    assert await objects.names([trace], **asked, workspace=TEAM_A) == {trace: "e-1"}
    assert await objects.names([trace], **asked, workspace=TEAM_B) == {}


async def test_many_values_are_asked_in_parts(objects: StoreObjects, world: World) -> None:
    run = world.ids[TEAM_A][Identifier.RUN_ID]
    values = [f"{number:032x}" for number in range(2500)] + [run]
    assert await objects.names(values, **RUN, workspace=TEAM_A) == {run: f"experiment-of-{TEAM_A}"}


@pytest.mark.parametrize(
    "spelling", ["0{}", " {}", "{} ", "+{}", "{}.0", "{}_0", "٣", "9" * 30, "2147483648"]
)
async def test_an_experiment_id_counts_in_its_one_spelling(
    objects: StoreObjects, world: World, spelling: str
) -> None:
    value = spelling.format(world.ids[TEAM_A][Identifier.EXPERIMENT_ID])
    assert await objects.names([value], **EXPERIMENT, workspace=TEAM_A) == {}


async def test_a_new_name_counts_at_once(objects: StoreObjects, world: World, clock: ManualClock) -> None:
    """Whoever renamed it, in whatever process; the clock stands still."""
    ids = populate(world.store, "team-c").ids["team-c"]
    experiment = ids[Identifier.EXPERIMENT_ID]
    asked = [(RUN, ids[Identifier.RUN_ID]), (EXPERIMENT, experiment)]
    for name in ("experiment-of-team-c", "renamed"):
        for kind, value in asked:
            found = await objects.names([value], **kind, workspace="team-c")
            assert found == {value: name}
        with WorkspaceContext("team-c"):
            world.store.rename_experiment(experiment, "renamed")


async def test_where_something_lies_is_remembered_for_seconds(
    objects: StoreObjects, world: World, clock: ManualClock
) -> None:
    ids = populate(world.store, "team-d").ids["team-d"]
    trace, run = ids[Identifier.TRACE_ID], ids[Identifier.RUN_ID]
    other = world.ids[TEAM_A][Identifier.EXPERIMENT_ID]
    for identifier, value in ((Identifier.TRACE_ID, trace), (Identifier.RUN_ID, run)):
        await objects.names([value], resource=Resource.EXPERIMENTS, identifier=identifier, workspace="team-d")
    with world.store.ManagedSessionMaker(read_only=False) as session:
        session.execute(
            update(SqlTraceInfo).where(SqlTraceInfo.request_id == trace).values(experiment_id=other)
        )
    asked: ByIdentifier = {"resource": Resource.EXPERIMENTS, "identifier": Identifier.TRACE_ID}
    assert await objects.names([trace], **asked, workspace="team-d") == {trace: "experiment-of-team-d"}
    clock.advance(EXPERIMENT_ID_SECONDS)
    assert await objects.names([trace], **asked, workspace="team-d") == {}
    assert await objects.names([trace], **asked, workspace=TEAM_A) == {trace: f"experiment-of-{TEAM_A}"}


async def test_without_workspaces_everything_lies_in_the_one_namespace(tmp_path: Path) -> None:
    store = SqlAlchemyStore(f"sqlite:///{tmp_path / 'mlflow.db'}", str(tmp_path))
    world = populate(store, "default")
    objects = StoreObjects(
        lambda: store.ManagedSessionMaker,
        registry=lambda: None,
        workspaces=False,
        monotonic=ManualClock().monotonic,
    )
    run = world.ids["default"][Identifier.RUN_ID]
    assert await objects.names([run], **RUN, workspace="any-namespace") == {run: "experiment-of-default"}
    objects.close()
    store.engine.dispose()


async def test_a_store_of_files_knows_no_names(clock: ManualClock) -> None:
    objects = StoreObjects(lambda: None, registry=lambda: None, workspaces=True, monotonic=clock.monotonic)
    assert await objects.names(["r"], **RUN, workspace=TEAM_A) == {}
    objects.close()


async def test_a_database_that_fails_is_no_decision(clock: ManualClock) -> None:
    @contextmanager
    def broken() -> Iterator[Session]:
        raise OperationalError("SELECT", {}, OSError("gone: the text of a query"))
        yield Session()

    def sessions() -> AbstractContextManager[Session]:
        return broken()

    objects = StoreObjects(
        lambda: sessions, registry=lambda: None, workspaces=True, monotonic=clock.monotonic
    )
    with pytest.raises(UnavailableError, match="database gave no answer") as raised:
        await objects.names(["r"], **RUN, workspace=TEAM_A)
    assert "query" not in raised.value.message
    objects.close()
