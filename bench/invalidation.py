"""The time from the API server's answer to a change of RBAC until two servers apply it.

Each round grants and withdraws a right. Meanwhile a client asks both servers until both apply the change.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from bench.options import Options
from bench.report import head, row
from bench.servers import Server
from bench.testbed import WORKSPACE, Testbed
from workspace_authz.kubernetes.configuration import load_configuration
from workspace_authz.kubernetes.connection import Connection, server_connection

_GROUP: Final = "rbac.authorization.k8s.io"
_RBAC: Final = f"/apis/{_GROUP}/v1"
_WITHIN: Final = f"{_RBAC}/namespaces/{WORKSPACE}"
_USER: Final = "bench-switched"
_HEADERS: Final = {"authorization": "Bearer bench-switched-token", "x-mlflow-workspace": WORKSPACE}
_SEARCH: Final = "/api/2.0/mlflow/experiments/search?max_results=1"
_READ: Final = [{"apiGroups": ["mlflow.kubeflow.org"], "resources": ["experiments"], "verbs": ["list"]}]
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30)
_CHANGES: Final = 10
"""Gifts, and as many withdrawals, in each round of the command line."""


@dataclass(frozen=True, slots=True)
class Change:
    """One request to the API server that must succeed."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None

    async def send(self, cluster: Connection) -> None:
        """Return when it is answered."""
        async with cluster.request(self.method, self.path, json=self.body, timeout=_TIMEOUT) as response:
            response.raise_for_status()
            await response.read()


def _role(rules: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"metadata": {"name": "bench-switched"}, "rules": rules}


def _binding(kind: str) -> dict[str, Any]:
    reference = {"apiGroup": _GROUP, "kind": kind, "name": "bench-switched"}
    subject = {"apiGroup": _GROUP, "kind": "User", "name": _USER}
    return {"metadata": {"name": "bench-switched"}, "roleRef": reference, "subjects": [subject]}


def _bound(path: str, kind: str) -> tuple[Change, Change]:
    return Change("POST", path, _binding(kind)), Change("DELETE", f"{path}/bench-switched")


def _ruled(path: str) -> tuple[Change, Change]:
    whole = f"{path}/bench-switched"
    return Change("PUT", whole, _role(_READ)), Change("PUT", whole, _role([]))


_CLUSTER_ROLES: Final = f"{_RBAC}/clusterroles"
_ROLES: Final = f"{_WITHIN}/roles"
_BINDINGS: Final = f"{_WITHIN}/rolebindings"
_KINDS: Final = {
    "RoleBinding": ([], *_bound(_BINDINGS, "ClusterRole")),
    "ClusterRoleBinding": ([], *_bound(f"{_RBAC}/clusterrolebindings", "ClusterRole")),
    "ClusterRole": ([Change("POST", _BINDINGS, _binding("ClusterRole"))], *_ruled(_CLUSTER_ROLES)),
    "Role": (
        [Change("DELETE", f"{_BINDINGS}/bench-switched"), Change("POST", _BINDINGS, _binding("Role"))],
        *_ruled(_ROLES),
    ),
}
"""For each kind what makes it ready, what gives and what takes."""


def run(testbed: Testbed, options: Options) -> None:
    """Print a table."""
    testbed.users = [f"bench-switched-token,{_USER},{_USER}"]
    servers = [testbed.guarded(), testbed.guarded()]
    asyncio.run(_measure(testbed.plane["admin_kubeconfig"], servers, options))


async def _measure(kubeconfig: str, servers: Sequence[Server], options: Options) -> None:
    cluster = server_connection(await load_configuration(kubeconfig))
    head("change", "changes", "p50 ms", "p99 ms", "longest ms")
    async with aiohttp.ClientSession(headers=_HEADERS, timeout=_TIMEOUT) as session:
        for path in (_CLUSTER_ROLES, _ROLES):
            await Change("POST", path, _role(_READ if path == _CLUSTER_ROLES else [])).send(cluster)
        for kind, (preparation, gives, takes) in _KINDS.items():
            for change in preparation:
                await change.send(cluster)
            seen: list[float] = []
            for _ in range(1 + options.rounds * _CHANGES):
                for change, status in ((gives, 200), (takes, 403)):
                    seen.append(await _effective(session, servers, change, status=status, cluster=cluster))
            del seen[:2]  # the first opens connections
            cuts = statistics.quantiles(seen, n=100, method="inclusive")
            row(kind, len(seen), *(f"{value * 1000:.1f}" for value in (cuts[49], cuts[98], max(seen))))
    await cluster.close()


async def _effective(
    session: aiohttp.ClientSession,
    servers: Sequence[Server],
    change: Change,
    *,
    status: int,
    cluster: Connection,
) -> float:
    """Seconds until the slower server acts on ``change``."""

    async def until(server: Server) -> float:
        while True:
            async with session.get(server.url + _SEARCH) as response:
                await response.read()
            if response.status == status:
                return time.perf_counter()

    # Asked before, during and after, so that both remember something else when it happens.
    acting = [asyncio.create_task(until(server)) for server in servers]
    await asyncio.sleep(0.02)
    await change.send(cluster)
    answered = time.perf_counter()
    async with asyncio.timeout(_TIMEOUT.total):
        return max(0.0, max([await task for task in acting]) - answered)
