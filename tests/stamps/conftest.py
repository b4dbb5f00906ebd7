"""MLflow behind the guard, and three who write to it: a person, another one, and a service account."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.harness.http import Answer
from tests.harness.plane import EMBEDDED, devplane
from tests.harness.sdk import Sdk, preload, sdk
from tests.harness.server import MlflowServer, ServerOptions, mlflow_server
from tests.isolation.conftest import ENVIRONMENT
from tests.scenarios.people import TEAM_A, Cluster, People, given_two_teams

API, AJAX = "/api/2.0/mlflow", "/ajax-api/2.0/mlflow"
API3, AJAX3 = "/api/3.0/mlflow", "/ajax-api/3.0/mlflow"
ACCOUNT = "system:serviceaccount:team-a:trainer"
"""The service account ``trainer``, as Kubernetes names it."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Somebody who writes to team-a."""

    name: str
    token: str
    server: MlflowServer

    def ask(self, method: str, path: str, document: object = None, **more: Any) -> Answer:
        """One request."""
        return self.server.ask(method, path, token=self.token, workspace=TEAM_A, json_body=document, **more)

    def do(self, method: str, path: str, document: object = None, **more: Any) -> Any:
        """The answer's JSON. Raises ``AssertionError`` when the request is refused."""
        answer = self.ask(method, path, document, **more)
        assert answer.status in (200, 201), answer.text
        return answer.json


@dataclass(frozen=True, slots=True)
class World:
    """Who writes, and where."""

    alice: Writer
    bob: Writer
    trainer: Writer
    experiment: str

    @property
    def everybody(self) -> tuple[Writer, ...]:
        """People and service accounts."""
        return (self.alice, self.trainer)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two teams; in team-a alice, bob and trainer may do everything."""
    preload()
    people = People()
    with devplane(EMBEDDED, tmp_path_factory.mktemp("stamps") / "plane", users=people.all) as plane:
        given = given_two_teams(plane, people)
        plane.bind(TEAM_A, "admin", user=people.alice.name)
        plane.bind(TEAM_A, "admin", user=people.bob.name)
        plane.bind(TEAM_A, "admin", account=(TEAM_A, "trainer"))
        for token in (people.alice.token, people.bob.token, given.trainer):
            plane.wait_for_access(token, TEAM_A, verb="create", resource="gatewaybudgets")
        yield given


@pytest.fixture(scope="session")
def server(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """MLflow behind the guard."""
    options = ServerOptions(
        kubeconfig=cluster.plane.server_kubeconfig,
        environment=ENVIRONMENT,
    )
    with mlflow_server(tmp_path_factory.mktemp("guarded"), options) as server:
        yield server


@pytest.fixture(scope="session")
def world(cluster: Cluster, server: MlflowServer) -> World:
    """An experiment of team-a."""
    people = cluster.people
    alice = Writer(people.alice.name, people.alice.token, server)
    made = alice.do("POST", f"{API}/experiments/create", {"name": "stamps"})
    return World(
        alice=alice,
        bob=Writer(people.bob.name, people.bob.token, server),
        trainer=Writer(ACCOUNT, cluster.trainer, server),
        experiment=str(made["experiment_id"]),
    )


@pytest.fixture(scope="session")
def alices_sdk(
    cluster: Cluster, server: MlflowServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sdk]:
    """alice's SDK, which runs as another user of the operating system's."""
    with sdk(
        server.uri,
        tmp_path_factory.mktemp("sdk"),
        token=cluster.people.alice.token,
        workspace=TEAM_A,
        LOGNAME="somebody",
    ) as process:
        yield process


@pytest.fixture(scope="session")
def trainers_sdk(
    cluster: Cluster, server: MlflowServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sdk]:
    """The service account's SDK."""
    with sdk(server.uri, tmp_path_factory.mktemp("sdk"), token=cluster.trainer, workspace=TEAM_A) as process:
        yield process
