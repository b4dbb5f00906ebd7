"""Two replicas of a server on one PostgreSQL: what one binds, the other knows, and so for every answer."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest
from mlflow.store.db.utils import _initialize_tables, _upgrade_db, create_sqlalchemy_engine
from sqlalchemy import Engine

from tests.harness.http import Http, bearer
from tests.harness.plane import EMBEDDED, Plane, User, devplane
from tests.harness.postgres import Postgres
from tests.harness.server import WORKSPACE, MlflowServer, ServerOptions, starting, wait_until_ready
from tests.scenarios.waiting import until
from workspace_authz.cli.main import main
from workspace_authz.database.schema import migrate
from workspace_authz.tenancy.claims import read_claims

CREATE, SEARCH = "/api/2.0/mlflow/experiments/create", "/api/2.0/mlflow/experiments/search?max_results=10"
ROOT = User("root", groups=("system:masters",))
DORA = User("dora")


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with devplane(EMBEDDED, tmp_path_factory.mktemp("replicas") / "plane", users=[ROOT, DORA]) as plane:
        yield plane


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    """MLflow's tables and ours, and `mlflow db upgrade` once more after ours came."""
    url = postgres.url(postgres.database())
    engine = create_sqlalchemy_engine(url)
    _initialize_tables(engine)
    migrate(engine)
    _upgrade_db(engine)
    engine.dispose()
    return url


@pytest.fixture(scope="module")
def replicas(
    plane: Plane, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[MlflowServer]]:
    """Two servers of two workers each, which start side by side."""
    options = ServerOptions(
        kubeconfig=plane.server_kubeconfig,
        backend_store=False,
        workers=2,
        arguments=("--backend-store-uri", database),
    )
    with ExitStack() as stack:
        home = tmp_path_factory.mktemp("replicas")
        servers = [stack.enter_context(starting(home / name, options)) for name in ("first", "second")]
        for server in servers:
            wait_until_ready(server)
        yield servers


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    engine: Engine = create_sqlalchemy_engine(database)
    yield engine
    engine.dispose()


def test_first_writes_race_and_the_workspace_is_claimed_once(
    replicas: list[MlflowServer], plane: Plane, engine: Engine
) -> None:
    """Given a new namespace, when many write there at once through both replicas, then all succeed."""

    def write(number: int) -> int:
        with closing(Http(replicas[number % 2].url)) as http:
            headers = {**bearer(ROOT.token), WORKSPACE: "team-race", "Content-Type": "application/json"}
            body = f'{{"name": "experiment {number}"}}'.encode()
            return http.request("POST", CREATE, headers=headers, body=body).status

    plane.namespace("team-race")
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(write, range(16))) == {200}
    claim = read_claims(engine)["team-race"]
    uid = plane.ask("GET", "/api/v1/namespaces/team-race").json["metadata"]["uid"]
    assert (claim.uid, claim.reason) == (uid, "first write")


def test_readiness_includes_tenancy(replicas: list[MlflowServer]) -> None:
    for replica in replicas:
        assert "[+]tenancy ok" in replica.ask("GET", "/readyz?verbose").text


def test_both_close_and_both_open_again(
    replicas: list[MlflowServer], plane: Plane, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = "/api/v1/namespaces/team-again"
    body = {"name": "plan"}
    plane.namespace("team-again")
    for replica in replicas:  # both cache the claim
        replica.ask("POST", CREATE, token=ROOT.token, workspace="team-again", json_body=body)

    def statuses() -> list[int]:
        return [
            replica.ask("GET", SEARCH, token=ROOT.token, workspace="team-again").status
            for replica in replicas
            for _ in range(6)  # of each worker, most likely
        ]

    assert set(statuses()) == {200}
    plane.delete(path)
    until(lambda: plane.ask("GET", path).status == 404)
    plane.namespace("team-again")
    until(lambda: set(statuses()) == {403})
    stores = ["--backend-store-uri", database, "--kubeconfig", str(plane.admin_kubeconfig)]
    assert main(["workspaces", "adopt", "team-again", *stores]) == 0
    assert "team-again: adopted by" in capsys.readouterr().out
    assert set(statuses()) == {200}


def test_what_one_replica_decided_is_seen_on_both(replicas: list[MlflowServer], plane: Plane) -> None:
    """Given a request at each of two replicas, when an admin looks at either, then both are there."""
    name = "team-seen"
    plane.namespace(name)
    wanted = {"SearchExperiments", "GetExperimentByName"}
    paths = (SEARCH, "/api/2.0/mlflow/experiments/get-by-name?experiment_name=plan")
    for replica, path in zip(replicas, paths, strict=True):
        replica.ask("GET", path, token=ROOT.token, workspace=name)

    def operations(replica: MlflowServer) -> set[str]:
        answer = replica.ask("GET", f"/workspace-authz/api/audit?workspace={name}", token=ROOT.token)
        return {row["operation"] for row in answer.json["records"]} if answer.status == 200 else set()

    until(lambda: all(operations(replica) == wanted for replica in replicas))


def test_a_grant_at_one_replica_counts_at_all_workers(replicas: list[MlflowServer], plane: Plane) -> None:
    """Given somebody without rights, when one replica grants and revokes, then all see it in a moment."""
    plane.namespace("team-granted")
    until(lambda: replicas[0].ask("GET", SEARCH, token=ROOT.token, workspace="team-granted").status == 200)
    until(lambda: replicas[1].ask("GET", SEARCH, token=ROOT.token, workspace="team-granted").status == 200)
    given = {"username": "dora", "resource_type": "experiment", "resource_id": "*"}
    grants = "/api/3.0/mlflow/users/permissions/"

    def statuses() -> set[int]:
        # Each connection is one worker's.
        found = set()
        for replica in [*replicas] * 6:
            with closing(Http(replica.url)) as http:
                headers = {**bearer(DORA.token), WORKSPACE: "team-granted"}
                found.add(http.request("GET", SEARCH, headers=headers).status)
        return found

    def change(word: str, **more: str) -> int:
        return (
            replicas[0]
            .ask(
                "POST", grants + word, token=ROOT.token, workspace="team-granted", json_body={**given, **more}
            )
            .status
        )

    assert statuses() == {403}
    assert change("grant", permission="READ") == 200
    until(lambda: statuses() == {200})
    assert change("revoke") == 200
    until(lambda: statuses() == {403})
