"""Which names are borne by objects of a workspace: asked of MLflow's own tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.store.model_registry.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore as Registry
from mlflow.utils.workspace_context import WorkspaceContext

from tests.harness.fakes import ManualClock
from tests.mlflow_adapter.world import TEAM_A, TEAM_B, World
from workspace_authz.catalog.model import Identifier
from workspace_authz.errors import UnavailableError
from workspace_authz.mlflow_adapter.store.objects import StoreObjects
from workspace_authz.types import Resource


@pytest.fixture(scope="module")
def registry(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A model registry with a database of its own."""
    home: Path = tmp_path_factory.mktemp("registry")
    with WorkspaceContext(TEAM_A):
        store = Registry(f"sqlite:///{home / 'registry.db'}")
        store.create_registered_model("model-of-team-a")
    with WorkspaceContext(TEAM_B):
        store.create_registered_model("model-of-team-b")
    yield store
    store.engine.dispose()


@pytest.fixture
def objects(world: World, registry: Registry) -> Iterator[StoreObjects]:
    found = StoreObjects(
        lambda: world.store.ManagedSessionMaker,
        registry=lambda: registry.ManagedSessionMaker,
        workspaces=True,
        monotonic=ManualClock().monotonic,
    )
    yield found
    found.close()


@pytest.mark.parametrize(
    ("resource", "kind", "identifier"),
    [
        (Resource.EXPERIMENTS, "experiment", Identifier.EXPERIMENT_ID),
        (Resource.DATASETS, "dataset", Identifier.DATASET_ID),
        (Resource.GATEWAY_SECRETS, "secret", Identifier.SECRET_ID),
        (Resource.GATEWAY_MODEL_DEFINITIONS, "definition", Identifier.MODEL_DEFINITION_ID),
        (Resource.REGISTERED_MODELS, "model", None),
        (Resource.MCP_SERVERS, "server", None),
        (Resource.GATEWAY_ENDPOINTS, "endpoint", None),
    ],
)
async def test_what_bears_a_name_in_this_workspace(
    world: World, objects: StoreObjects, resource: Resource, kind: str, identifier: Identifier | None
) -> None:
    own, foreign = f"{kind}-of-team-a", f"{kind}-of-team-b"
    key = world.ids[TEAM_A][identifier] if identifier else own
    found = await objects.named(resource, {own, foreign, own.upper(), "absent"}, workspace=TEAM_A)
    there = resource not in (Resource.MCP_SERVERS, Resource.GATEWAY_ENDPOINTS)  # nobody made one
    assert found == ({key: own} if there else {})


async def test_any_number_of_names(objects: StoreObjects) -> None:
    names = [f"name-{number}" for number in range(2000)]
    found = await objects.named(Resource.EXPERIMENTS, [*names, "experiment-of-team-a"], workspace=TEAM_A)
    assert list(found.values()) == ["experiment-of-team-a"]


async def test_who_makes_or_renames_an_object_finds_it_at_once(world: World, objects: StoreObjects) -> None:
    assert await objects.named(Resource.EXPERIMENTS, ["new", "newer"], workspace=TEAM_A) == {}
    with WorkspaceContext(TEAM_A):
        made = str(world.store.create_experiment("new"))
        assert await objects.named(Resource.EXPERIMENTS, ["new", "newer"], workspace=TEAM_A) == {made: "new"}
        world.store.rename_experiment(made, "newer")
        assert await objects.named(Resource.EXPERIMENTS, ["new", "newer"], workspace=TEAM_A) == {
            made: "newer"
        }


async def test_a_database_without_an_answer_is_an_error(world: World) -> None:
    objects = StoreObjects(
        lambda: world.store.ManagedSessionMaker,
        registry=_broken,
        workspaces=True,
        monotonic=ManualClock().monotonic,
    )
    with pytest.raises(UnavailableError):
        await objects.named(Resource.REGISTERED_MODELS, ["any"], workspace=TEAM_A)
    objects.close()


def _broken() -> None:
    raise UnavailableError("down")
