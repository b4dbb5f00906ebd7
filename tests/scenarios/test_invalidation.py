"""A change of RBAC takes effect at once, on every worker of every server, whatever they remember.

Decisions live for a minute here; what is waited for must come long before that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.harness.http import Http, bearer
from tests.harness.plane import RBAC, Plane, User, rights
from tests.harness.server import WORKSPACE, MlflowServer, ServerOptions, mlflow_server
from tests.scenarios.people import LABEL, Cluster
from tests.scenarios.waiting import until

TEAM = "team-invalidated"
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
LIST = "/api/3.0/mlflow/workspaces"
CONNECTIONS = 6
"""Opened anew for each look, so that both workers are asked."""
READ, NOTHING = rights("list experiments"), rights("list datasets")


@dataclass(frozen=True, slots=True)
class Servers:
    """Two servers of one cluster, one of them with two workers."""

    cluster: Cluster
    all: tuple[MlflowServer, ...]

    @property
    def plane(self) -> Plane:
        return self.cluster.plane

    def seen(self, user: User) -> set[tuple[int, bool]]:
        """The status of a search and whether the workspace is listed, by every worker."""
        return {self._look(server, user) for server in self.all for _ in range(CONNECTIONS)}

    def _look(self, server: MlflowServer, user: User) -> tuple[int, bool]:
        with closing(Http(server.url)) as http:
            headers = {**bearer(user.token), WORKSPACE: TEAM}
            searched = http.request("GET", SEARCH, headers=headers)
            listed = http.request("GET", LIST, headers=headers).json.get("workspaces", [])
        return searched.status, TEAM in [found["name"] for found in listed]

    def everybody_sees(self, user: User, state: tuple[int, bool]) -> None:
        """Wait until all do, twice in a row: a worker that is behind may have missed the first looks."""
        until(lambda: self.seen(user) == {state} == self.seen(user))


IN, OUT, HALF = (200, True), (403, False), (403, True)
"""Allowed; not; and allowed something else there, so that the workspace is listed."""


@pytest.fixture(scope="module")
def servers(
    cluster: Cluster, server: MlflowServer, database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Servers]:
    options = ServerOptions(kubeconfig=cluster.plane.server_kubeconfig, database=database, workers=2)
    with mlflow_server(tmp_path_factory.mktemp("two-workers"), options) as second:
        cluster.plane.namespace(TEAM, labels=LABEL)
        until(lambda: all("notes" not in each.ask("GET", "/readyz").json for each in (server, second)))
        yield Servers(cluster, (server, second))
        cluster.plane.delete(f"/api/v1/namespaces/{TEAM}")


def test_the_binding_of_a_user(servers: Servers) -> None:
    """Given a user who was refused a moment ago, when a RoleBinding comes and goes, then so do they."""
    dora = servers.cluster.people.dora
    servers.everybody_sees(dora, OUT)
    binding = servers.plane.bind(TEAM, "mlflow-view", user=dora.name)
    servers.everybody_sees(dora, IN)
    servers.plane.delete(binding)
    servers.everybody_sees(dora, OUT)


def test_the_binding_of_a_group(servers: Servers) -> None:
    bob = servers.cluster.people.bob
    servers.everybody_sees(bob, OUT)
    binding = servers.plane.bind(TEAM, "view", group=bob.groups[0])
    servers.everybody_sees(bob, IN)
    nobody: list[Any] = []
    assert servers.plane.ask("PATCH", binding, {"subjects": nobody}).status == 200
    servers.everybody_sees(bob, OUT)


def test_a_cluster_role_binding(servers: Servers) -> None:
    dora, plane = servers.cluster.people.dora, servers.plane
    servers.everybody_sees(dora, OUT)
    path = f"{RBAC}/clusterrolebindings"
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": dora.name}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "mlflow-view"}
    plane.make(path, {"metadata": {"name": TEAM}, "roleRef": role, "subjects": [subject]})
    servers.everybody_sees(dora, IN)
    plane.delete(f"{path}/{TEAM}")
    servers.everybody_sees(dora, OUT)


@pytest.mark.parametrize("kind", ["Role", "ClusterRole"])
def test_the_rules_of_a_role(servers: Servers, kind: str) -> None:
    """Given a binding that stays, when its role's rules change, then so does what it opens."""
    dora, plane = servers.cluster.people.dora, servers.plane
    roles = f"{RBAC}/clusterroles" if kind == "ClusterRole" else f"{RBAC}/namespaces/{TEAM}/roles"
    plane.make(roles, {"metadata": {"name": "invalidated"}, "rules": NOTHING})
    binding = plane.bind(TEAM, "invalidated", user=dora.name, kind=kind)
    servers.everybody_sees(dora, HALF)
    for rules, state in ((READ, IN), (NOTHING, HALF), ([], OUT)):
        assert plane.ask("PATCH", f"{roles}/invalidated", {"rules": rules}).status == 200
        servers.everybody_sees(dora, state)
    plane.delete(binding)
    plane.delete(f"{roles}/invalidated")


def test_a_cluster_role_that_is_aggregated(servers: Servers) -> None:
    dora, plane = servers.cluster.people.dora, servers.plane
    roles = f"{RBAC}/clusterroles"
    selector = {"clusterRoleSelectors": [{"matchLabels": {"invalidated": "yes"}}]}
    plane.make(roles, {"metadata": {"name": "whole"}, "aggregationRule": selector})
    binding = plane.bind(TEAM, "whole", user=dora.name)
    servers.everybody_sees(dora, OUT)
    plane.make(roles, {"metadata": {"name": "part", "labels": {"invalidated": "yes"}}, "rules": READ})
    servers.everybody_sees(dora, IN)
    plane.delete(f"{roles}/part")
    servers.everybody_sees(dora, OUT)
    plane.delete(binding)
    plane.delete(f"{roles}/whole")
