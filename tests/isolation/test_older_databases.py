"""A database from before workspaces, upgraded: its artifacts belong to the workspace ``default``.

Its experiments have locations of their own, as clients of servers without workspaces may choose them.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import MetaData, create_engine, insert, select

from tests.harness.database import BEFORE_WORKSPACES, older_database, upgrade
from tests.harness.forked import mlflow_command
from tests.harness.plane import User, rights
from tests.harness.postgres import Postgres
from tests.harness.processes import clean_environment
from tests.harness.sdk import sdk
from tests.harness.server import ServerOptions, mlflow_server
from tests.isolation import steps
from tests.isolation.world import ARTIFACTS, DEFAULT, World
from tests.scenarios.people import TEAM_A, TEAM_B, Cluster

LOCATIONS: Final = {"vision": "teams/vision/exp1", "prod": "prod/mlflow", "numbered": "99/sub", "plain": "4"}
"""The place of each experiment below the proxy's root, by name."""
MOVED: Final = "moved"
"""One more, which goes to team-a."""
_PLACES: Final = {**LOCATIONS, MOVED: "teams/moved"}
MODEL: Final = "an-old-model"
RUN: Final = {
    **{
        "name": "old",
        "user_id": "somebody",
        "source_type": "UNKNOWN",
        "source_name": "",
        "source_version": "",
    },
    **{
        "entry_point_name": "",
        "status": "FINISHED",
        "start_time": 1,
        "end_time": 2,
        "lifecycle_stage": "active",
    },
}
"""What else MLflow wrote of a run."""
OLD: Final = b"written before workspaces"


@dataclass(frozen=True, slots=True)
class Older:
    """A server that runs on such a database."""

    world: World
    runs: Mapping[str, str]
    """The one run of each experiment."""

    def folder(self, name: str) -> str:
        """Where its run keeps its artifacts, below the proxy's root."""
        return f"{_PLACES[name]}/{self.runs[name]}/artifacts"

    def path(self, name: str, file: str = "old.txt") -> str:
        return f"{ARTIFACTS}/{self.folder(name)}/{file}"

    def as_(self, user: User) -> World:
        """The server, asked by ``user`` in ``default``."""
        return replace(self.world, tokens={DEFAULT: user.token})


def written_before_workspaces(url: str) -> Mapping[str, str]:
    """Make the database, with the rows that such a server wrote. Returns the experiments' runs."""
    older_database(url, revision=BEFORE_WORKSPACES)
    engine, tables = create_engine(url), MetaData()
    tables.reflect(engine)
    experiments, runs = tables.tables["experiments"], tables.tables["runs"]
    assert "workspace" not in experiments.columns
    made = {name: secrets.token_hex(16) for name in _PLACES}
    active = {"lifecycle_stage": "active"}
    first = {"experiment_id": 0, "name": "Default", "artifact_location": "mlflow-artifacts:/0", **active}
    with engine.begin() as connection:
        connection.execute(insert(experiments).values(**first))
        for name, place in _PLACES.items():
            row = {"name": name, "artifact_location": f"mlflow-artifacts:/{place}", **active}
            connection.execute(insert(experiments).values(**row))
            query = select(experiments.c.experiment_id).where(experiments.c.name == name)
            run = {
                "run_uuid": made[name],
                "experiment_id": connection.execute(query).scalar_one(),
                "artifact_uri": f"mlflow-artifacts:/{place}/{made[name]}/artifacts",
                **RUN,
            }
            connection.execute(insert(runs).values(**run))
        connection.execute(insert(tables.tables["registered_models"]).values(name=MODEL))
        source = f"mlflow-artifacts:/{LOCATIONS['vision']}/{made['vision']}/artifacts"
        version = {"name": MODEL, "version": 1, "source": source, "run_id": made["vision"], "status": "READY"}
        connection.execute(insert(tables.tables["model_versions"]).values(current_stage="None", **version))
    engine.dispose()
    return made


def moved(url: str, cluster: Cluster, *, directory: Path) -> None:
    """``mlflow db move-resources``, as docs/migration.md says."""
    what = ("--from", DEFAULT, "--to", TEAM_A, "--resource-type", "experiments", "--name", MOVED, "--yes")
    environment = {
        **clean_environment(),
        "KUBECONFIG": str(cluster.plane.server_kubeconfig),
        "MLFLOW_WORKSPACE_STORE_URI": "kubernetes://",
    }
    ended = mlflow_command(["db", "move-resources", url, *what], environment=environment, directory=directory)
    assert ended.status == 0, ended.output


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def older(
    request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Older]:
    state = tmp_path_factory.mktemp("older")
    url = f"sqlite:///{state / 'mlflow.db'}"
    if request.param == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.url(postgres.database())
    runs = written_before_workspaces(url)
    upgrade(url, directory=state)
    moved(url, cluster, directory=state)
    for name, place in _PLACES.items():
        root = state / "artifacts" / (f"workspaces/{TEAM_A}" if name == MOVED else "")
        folder = root / place / runs[name] / "artifacts"
        folder.mkdir(parents=True)
        (folder / "old.txt").write_bytes(OLD)
    people = cluster.people
    tokens = {DEFAULT: people.alice.token, TEAM_A: people.alice.token, TEAM_B: people.carol.token}
    options = ServerOptions(kubeconfig=cluster.plane.server_kubeconfig, backend=url)
    with mlflow_server(state, options) as server:
        yield Older(World(server, tokens), runs)


@pytest.fixture(scope="module")
def one_of_them(cluster: Cluster) -> User:
    """Holds rights on the experiment ``vision`` of ``default``, and may create others."""
    plane, user = cluster.plane, cluster.people.holders[1]
    wanted = rights("get experiments", "list experiments", "update experiments")
    named = [{**rule, "resourceNames": ["vision"]} for rule in wanted]
    plane.role(DEFAULT, "vision", rules=[*named, *rights("create experiments")])
    plane.bind(DEFAULT, "vision", user=user.name, kind="Role")
    plane.wait_for_access(user.token, DEFAULT, verb="create", resource="experiments")
    return user


@pytest.fixture(scope="module")
def reader(cluster: Cluster) -> User:
    """Views ``default``."""
    plane, user = cluster.plane, cluster.people.holders[2]
    plane.bind(DEFAULT, "view", user=user.name)
    plane.wait_for_access(user.token, DEFAULT, verb="get", resource="experiments")
    return user


@pytest.mark.parametrize("name", LOCATIONS)
def test_who_holds_the_right_reads_and_writes_where_it_always_was(older: Older, name: str) -> None:
    world, folder = older.world, older.folder(name)
    assert world.ask("GET", older.path(name), workspace=DEFAULT).body == OLD
    ui = f"/get-artifact?run_uuid={older.runs[name]}&path=old.txt"
    assert world.ask("GET", ui, workspace=DEFAULT).body == OLD
    world.upload(DEFAULT, f"{folder}/new.txt", b"new")
    assert world.stored(DEFAULT, f"{folder}/new.txt") == b"new"
    listed = world.ask("GET", f"{ARTIFACTS}?path={folder}", workspace=DEFAULT).json["files"]
    assert {"old.txt", "new.txt"} <= {file["path"] for file in listed}
    assert world.ask("DELETE", older.path(name, "new.txt"), workspace=DEFAULT).status == 200
    assert world.ask("GET", older.path(name, "new.txt"), workspace=DEFAULT).status == 404


def test_a_new_run_of_an_old_experiment_keeps_its_files_there(older: Older) -> None:
    path = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=vision"
    experiment = older.world.ask("GET", path, workspace=DEFAULT).json["experiment"]["experiment_id"]
    made = older.world.make("/api/2.0/mlflow/runs/create", {"experiment_id": experiment}, workspace=DEFAULT)[
        "run"
    ]["info"]
    place = f"{LOCATIONS['vision']}/{made['run_id']}/artifacts"
    assert made["artifact_uri"] == f"mlflow-artifacts:/{place}"
    older.world.upload(DEFAULT, f"{place}/a.txt", b"mine")
    assert older.world.ask("GET", f"{ARTIFACTS}/{place}/a.txt", workspace=DEFAULT).body == b"mine"


def test_an_old_models_files_are_served(older: Older) -> None:
    path = f"/model-versions/get-artifact?name={MODEL}&version=1&path=old.txt"
    assert older.world.ask("GET", path, workspace=DEFAULT).body == OLD
    assert older.world.ask("GET", path, workspace=TEAM_A).status == 404


def test_the_sdk_reads_and_adds(older: Older, tmp_path: Path) -> None:
    world, run = older.world, older.runs["prod"]
    with sdk(world.server.uri, tmp_path, token=world.tokens[DEFAULT], workspace=DEFAULT) as alice:
        alice.run(steps.add_artifact, run, "sdk.txt", "by the SDK")
        assert alice.run(steps.artifact, run, "sdk.txt") == "by the SDK"
        assert alice.run(steps.artifact, run, "old.txt") == OLD.decode()


def test_a_moved_experiment_is_its_new_teams_alone(older: Older) -> None:
    world, path = older.world, older.path(MOVED)
    ui = f"/get-artifact?run_uuid={older.runs[MOVED]}&path=old.txt"
    for asked in (path, ui):
        assert world.ask("GET", asked, workspace=TEAM_A).body == OLD
        assert world.ask("GET", asked, workspace=DEFAULT).status in (403, 404)
        assert world.ask("GET", asked, workspace=TEAM_B).status in (403, 404)
    world.upload(TEAM_A, f"{older.folder(MOVED)}/new.txt", b"new")
    assert world.stored(TEAM_A, f"{older.folder(MOVED)}/new.txt") == b"new"


@pytest.mark.parametrize("name", LOCATIONS)
def test_nobody_else_reads_or_writes(older: Older, cluster: Cluster, reader: User, name: str) -> None:
    """Given others' tokens, other workspaces, and the right to read only."""
    path, people = older.path(name), cluster.people
    folder = f"{ARTIFACTS}?path={older.folder(name)}"
    for user in (people.bob, people.carol, people.mallory):
        for method, asked in (("GET", path), ("GET", folder), ("PUT", path), ("DELETE", path)):
            body = b"overwritten" if method == "PUT" else None
            answer = older.as_(user).ask(method, asked, workspace=DEFAULT, body=body)
            assert answer.status == 403, (user.name, method, answer.text)
    for workspace in (TEAM_A, TEAM_B):
        for method, asked in (("GET", path), ("GET", folder), ("PUT", path), ("DELETE", path)):
            body = b"overwritten" if method == "PUT" else None
            answer = older.world.ask(method, asked, workspace=workspace, body=body)
            assert answer.status in (403, 404), (workspace, method, answer.text)
    views = older.as_(reader)
    assert views.ask("GET", path, workspace=DEFAULT).body == OLD
    for method in ("PUT", "DELETE"):
        assert views.ask(method, path, workspace=DEFAULT, body=b"").status == 403
    assert older.world.stored(DEFAULT, f"{older.folder(name)}/old.txt") == OLD


def test_a_right_on_one_experiment_reaches_its_files_and_no_others(older: Older, one_of_them: User) -> None:
    theirs = older.as_(one_of_them)
    assert theirs.ask("GET", older.path("vision"), workspace=DEFAULT).body == OLD
    assert theirs.ask("PUT", older.path("vision", "n.txt"), workspace=DEFAULT, body=b"n").status == 200
    assert theirs.ask("GET", f"{ARTIFACTS}?path={older.folder('vision')}", workspace=DEFAULT).status == 200
    others = [older.folder(name) for name in LOCATIONS if name != "vision"]
    around = ["teams", "teams/vision", "teams/vision/exp10", "teams/vision/exp1/../../../prod/mlflow", "prod"]
    for place in (*others, *around, *(f"workspaces/{DEFAULT}/{other}" for other in others)):
        for method, path in (
            ("GET", f"{ARTIFACTS}/{place}/old.txt"),
            ("PUT", f"{ARTIFACTS}/{place}/old.txt"),
            ("DELETE", f"{ARTIFACTS}/{place}"),
            ("GET", f"{ARTIFACTS}?path={place}"),
        ):
            body = b"overwritten" if method == "PUT" else None
            answer = theirs.ask(method, path, workspace=DEFAULT, body=body)
            assert answer.status in (400, 403, 404), (method, path, answer.text)
    for name in LOCATIONS:
        assert older.world.stored(DEFAULT, f"{older.folder(name)}/old.txt") == OLD
