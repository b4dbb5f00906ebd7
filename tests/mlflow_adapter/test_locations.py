"""The experiments whose artifacts lie at a place, asked of a real MLflow database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.store.tracking.dbmodels.models import SqlExperiment
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from tests.harness.fakes import ManualClock
from workspace_authz.mlflow_adapter.reading.places import place_of
from workspace_authz.mlflow_adapter.store.locations import LIST_SECONDS
from workspace_authz.mlflow_adapter.store.objects import StoreObjects

ROOT = "mlflow-artifacts:/prod/mlflow"


class Site:
    """A server without workspaces, whose clients choose locations."""

    def __init__(self, home: Path, clock: ManualClock, *, root: str = ROOT) -> None:
        self.clock = clock
        self.store = SqlAlchemyStore(f"sqlite:///{home / 'mlflow.db'}", root)
        self.objects = StoreObjects(
            lambda: self.store.ManagedSessionMaker,
            registry=lambda: None,
            workspaces=False,
            monotonic=clock.monotonic,
        )

    def make(self, name: str, location: str | None = None) -> str:
        return str(self.store.create_experiment(name, location))

    async def at(self, uri: str) -> set[str]:
        """The names of the experiments there."""
        return set(await self.objects.experiments_at(place_of(uri, workspace=None), workspace="team-a"))

    def close(self) -> None:
        self.objects.close()
        self.store.engine.dispose()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("locations")


@pytest.fixture
def site(home: Path, clock: ManualClock) -> Iterator[Site]:
    found = Site(home, clock)
    yield found
    with found.store.ManagedSessionMaker(read_only=False) as session:
        session.query(SqlExperiment).filter(SqlExperiment.experiment_id > 0).delete()
    found.close()


async def test_a_place_is_the_experiments_in_whose_location_it_lies(site: Site) -> None:
    usual, other = site.make("usual"), site.make("other")
    site.make("chosen", "mlflow-artifacts:/teams/vision")
    site.make("bucket", "s3://bucket/dir")
    expected = {
        f"{ROOT}/{usual}": {"usual"},
        f"{ROOT}/{usual}/run/artifacts/9/x": {"usual"},
        f"{ROOT}/{other}/x": {"other"},
        "mlflow-artifacts:/teams/vision": {"chosen"},
        f"mlflow-artifacts:/teams/vision/{usual}": {"chosen"},
        "s3://bucket/dir/run": {"bucket"},
    }
    assert {uri: await site.at(uri) for uri in expected} == expected


async def test_what_lies_in_no_experiment_is_nobodys(site: Site) -> None:
    usual = site.make("usual")
    site.make("chosen", "mlflow-artifacts:/teams/vision")
    site.make("everything", "mlflow-artifacts:/")
    for uri in (
        *("mlflow-artifacts:/prod", "mlflow-artifacts:/prod/mlflow", "mlflow-artifacts:/x"),
        *(f"mlflow-artifacts:/{usual}", f"mlflow-artifacts:/prod/{usual}", f"{ROOT}/0{usual}/x"),
        *(f"{ROOT}/{int(usual) + 99}", "mlflow-artifacts:/teams", "mlflow-artifacts:/teams/vision2"),
        *(
            "mlflow-artifacts:/Teams/vision",
            "s3://prod/mlflow/1",
            f"/prod/mlflow/{usual}",
            f"{ROOT}/{10**12}",
        ),
    ):
        assert await site.at(uri) == set(), uri


async def test_of_two_the_inner_one_owns_what_lies_in_both(site: Site) -> None:
    site.make("outer", "mlflow-artifacts:/teams")
    site.make("inner", "mlflow-artifacts:/teams/vision")
    assert await site.at("mlflow-artifacts:/teams/vision/x") == {"inner"}
    assert await site.at("mlflow-artifacts:/teams/x") == {"outer"}


async def test_who_reads_a_folder_reaches_all_that_lies_in_it(site: Site) -> None:
    site.make("outer", "mlflow-artifacts:/prod")
    site.make("inner", "mlflow-artifacts:/prod/a")
    site.make("usual")
    assert await site.at("mlflow-artifacts:/prod") == {"outer", "inner", "usual", "Default"}
    assert await site.at("mlflow-artifacts:/prod/mlflow") == {"outer", "usual", "Default"}
    assert await site.at("mlflow-artifacts:/prod/a") == {"inner"}


async def test_a_shared_location_is_of_all_that_share_it(site: Site) -> None:
    for name in ("one", "two"):
        site.make(name, "mlflow-artifacts:/shared/")
    assert await site.at("mlflow-artifacts:/shared/run/artifacts") == {"one", "two"}


async def test_a_new_experiment_owns_its_location_at_once(site: Site) -> None:
    """In whatever process it was made; the clock stands still."""
    for number in range(3):
        assert await site.at(f"mlflow-artifacts:/new/{number}x/f") == set()
        site.make(f"new-{number}", f"mlflow-artifacts:/new/{number}x")
        assert await site.at(f"mlflow-artifacts:/new/{number}x/f") == {f"new-{number}"}


async def test_one_that_was_stored_late_is_found_after_a_miss(site: Site) -> None:
    late = site.make("late", "mlflow-artifacts:/late")
    with site.store.ManagedSessionMaker(read_only=False) as session:
        session.query(SqlExperiment).filter_by(experiment_id=int(late)).update({"experiment_id": 500})
    assert await site.at("mlflow-artifacts:/late/x") == {"late"}
    with site.store.ManagedSessionMaker(read_only=False) as session:
        session.add(
            SqlExperiment(
                experiment_id=400,
                name="later",
                artifact_location="mlflow-artifacts:/later",
                lifecycle_stage="active",
                workspace="default",
            )
        )
    site.clock.advance(1)
    assert await site.at("mlflow-artifacts:/later/x") == {"later"}


async def test_one_that_is_gone_owns_nothing(site: Site) -> None:
    gone = site.make("gone", "mlflow-artifacts:/gone")
    assert await site.at("mlflow-artifacts:/gone/x") == {"gone"}
    with site.store.ManagedSessionMaker(read_only=False) as session:
        session.query(SqlExperiment).filter_by(experiment_id=int(gone)).delete()
    assert await site.at("mlflow-artifacts:/gone/x") == set()
    site.clock.advance(LIST_SECONDS)
    assert await site.at("mlflow-artifacts:/gone/x") == set()


async def test_a_path_may_begin_with_the_id_where_locations_are_elsewhere(
    tmp_path: Path, clock: ManualClock
) -> None:
    """``--serve-artifacts`` with a root in a bucket: the proxy serves the same store by paths."""
    site = Site(tmp_path, clock, root="s3://bucket/mlflow")
    experiment = site.make("usual")
    assert await site.at(f"mlflow-artifacts:/{experiment}/x") == {"usual"}
    assert await site.at(f"s3://bucket/mlflow/{experiment}/x") == {"usual"}
    assert await site.at(f"s3://bucket/{experiment}/x") == set()
    site.close()
