"""Stock MLflow, which shows each hole, and MLflow behind the guard, which shows it closed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.bucket import S3, s3_server
from tests.harness.plane import EMBEDDED, User, devplane, rights
from tests.harness.releases import NEWEST, OLDEST, USUAL, programs_of
from tests.harness.sdk import preload
from tests.harness.server import ServerOptions, mlflow_server
from tests.isolation.world import DEFAULT, World, furnish
from tests.scenarios.people import TEAM_A, TEAM_B, Cluster, People, given_two_teams

# One worker process of pytest for all of them: the servers are shared.
pytestmark = pytest.mark.xdist_group("isolation")

BUCKET = "s3://bucket/mlflow"
"""An artifact root."""
SHARED = "s3://shared/models"
"""From where every workspace may register models."""
MODEL = "a-model-of-noras"

ENVIRONMENT = {
    f"MLFLOW_{kind}_{setting}": value
    for kind in ("GATEWAY_API_BASE", "WEBHOOK")
    for setting, value in (("ALLOW_PRIVATE_IPS", "true"), ("ALLOWED_SCHEMES", "http,https"))
}
"""So that a stub on loopback can be a gateway's provider or hear a webhook."""


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two teams, and the namespace ``default`` that Kubernetes makes itself."""
    preload()
    people = People()
    with devplane(EMBEDDED, tmp_path_factory.mktemp("isolation") / "plane", users=people.all) as plane:
        given = given_two_teams(plane, people)
        for namespace in (TEAM_A, DEFAULT):
            plane.bind(namespace, "admin", user=people.alice.name)
            plane.wait_for_access(people.alice.token, namespace, verb="create", resource="gatewaybudgets")
        yield given


@pytest.fixture(scope="session", params=[USUAL, OLDEST, NEWEST])
def programs(request: pytest.FixtureRequest) -> Path:
    """Those of each MLflow that the guard is held to."""
    return programs_of(request.param)


@pytest.fixture(scope="session")
def holder(cluster: Cluster) -> User:
    """Holds rights on one registered model of team-a, and on no experiments but two."""
    plane, user = cluster.plane, cluster.people.holders[0]
    named = [
        {**rule, "resourceNames": [name]}
        for right, name in (
            *((f"{verb} registeredmodels", MODEL) for verb in ("get", "list", "update")),
            *((f"{verb} experiments", "theirs") for verb in ("get", "list", "update")),
            *((f"{verb} experiments", "around") for verb in ("get", "list", "update")),
        )
        for rule in rights(right)
    ]
    plane.role(TEAM_A, "one-model", rules=[*named, *rights("create experiments")])
    plane.bind(TEAM_A, "one-model", user=user.name, kind="Role")
    plane.wait_for_access(user.token, TEAM_A, verb="create", resource="experiments")
    return user


def served(
    cluster: Cluster, programs: Path, state: Path, *arguments: str, **environment: str
) -> Iterator[World]:
    """A guarded server, and who may do everything in each workspace."""
    people = cluster.people
    tokens = {TEAM_A: people.alice.token, DEFAULT: people.alice.token, TEAM_B: people.carol.token}
    options = ServerOptions(
        kubeconfig=cluster.plane.server_kubeconfig,
        programs=programs,
        arguments=arguments,
        environment=environment,
    )
    with mlflow_server(state, options) as server:
        yield World(server, tokens)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """Where buckets are."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def bucket(
    cluster: Cluster, programs: Path, s3: S3, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A server whose clients use the bucket themselves, and that allows a place in another one."""
    state, root = tmp_path_factory.mktemp("bucket"), ("--default-artifact-root", BUCKET)
    shared = {"WORKSPACE_AUTHZ_MODEL_SOURCES": SHARED}
    yield from served(cluster, programs, state, *root, **s3.environment, **shared)


@pytest.fixture(scope="session")
def guarded(cluster: Cluster, programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """MLflow behind the guard: alice is admin in team-a and default, carol in team-b."""
    people = cluster.people
    tokens = {TEAM_A: people.alice.token, DEFAULT: people.alice.token, TEAM_B: people.carol.token}
    options = ServerOptions(
        kubeconfig=cluster.plane.server_kubeconfig, programs=programs, environment=ENVIRONMENT
    )
    with mlflow_server(tmp_path_factory.mktemp("guarded"), options) as server:
        yield World(server, tokens)


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """MLflow as it comes, with the same workspaces."""
    # For what its judges remember of an endpoint, without which they fail on 3.17.2; nothing is sent there.
    remembered_by = {"MLFLOW_GATEWAY_URI": "http://nowhere.invalid"}
    options = ServerOptions(environment=ENVIRONMENT | remembered_by)
    with mlflow_server(tmp_path_factory.mktemp("stock"), options) as server:
        for workspace in (TEAM_A, TEAM_B):
            answer = server.ask("POST", "/api/3.0/mlflow/workspaces", json_body={"name": workspace})
            assert answer.status in (200, 201), answer.text
        yield World(server, {})


@pytest.fixture(scope="session")
def guarded_ids(guarded: World) -> dict[str, str]:
    """Experiments by workspace on the guarded server."""
    return furnish(guarded)


@pytest.fixture(scope="session")
def stock_ids(stock: World) -> dict[str, str]:
    """Experiments by workspace on the stock server."""
    return furnish(stock)
