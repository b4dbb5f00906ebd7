"""The administrator's hands: namespaces, service accounts, RoleBindings and tokens, by the Kubernetes API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from workspace_authz.apps.demo.people import NAMESPACES, PEOPLE, Person, role_binding
from workspace_authz.apps.demo.processes import DemoError
from workspace_authz.kubernetes.configuration import load_configuration
from workspace_authz.kubernetes.connection import Connection, server_connection
from workspace_authz.kubernetes.own_rights import REVIEWS_ROLE

_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)
_TOKEN_SECONDS: Final = 24 * 3600
_BINDINGS: Final = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The demo's Kubernetes API, asked as its administrator. Methods raise :class:`DemoError`."""

    connection: Connection

    async def furnish(self) -> None:
        """Make the namespaces and everybody's account and RoleBinding."""
        for name in NAMESPACES:
            await self._create("/api/v1/namespaces", _core("Namespace", name))
        for person in PEOPLE:
            if person.account_of:
                accounts = f"/api/v1/namespaces/{person.account_of}/serviceaccounts"
                await self._create(accounts, _core("ServiceAccount", person.name))
            if person.role:
                await self.bind(person, role=person.role, namespace=person.namespace)

    async def let_server_review(self) -> None:
        """Let MLflow's server review people who have no token of the API server."""
        group = "rbac.authorization.k8s.io"
        binding = {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": REVIEWS_ROLE},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": REVIEWS_ROLE},
            "subjects": [{"kind": "ServiceAccount", "namespace": "mlflow", "name": "mlflow"}],
        }
        await self._create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)

    async def bind(self, person: Person, *, role: str, namespace: str) -> None:
        """Give ``person`` the ClusterRole in one namespace."""
        binding = role_binding(person, role=role, namespace=namespace)
        await self._create(_BINDINGS.format(namespace), binding)

    async def unbind(self, person: Person, *, role: str, namespace: str) -> None:
        """Take back what :meth:`bind` gave."""
        await self._ask("DELETE", f"{_BINDINGS.format(namespace)}/{person.name}-{role}")

    async def account_token(self, person: Person) -> str:
        """A token of a service account, good for a day (TokenRequest)."""
        path = f"/api/v1/namespaces/{person.account_of}/serviceaccounts/{person.name}/token"
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": _TOKEN_SECONDS},
        }
        answer = await self._ask("POST", path, body=request)
        return str(answer["status"]["token"])

    async def _create(self, path: str, manifest: Mapping[str, Any]) -> None:
        await self._ask("POST", path, body=manifest)

    async def _ask(
        self, method: str, path: str, *, body: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        try:
            async with self.connection.request(method, path, json=body, timeout=_TIMEOUT) as response:
                answer: Mapping[str, Any] = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise DemoError(f"The Kubernetes API did not answer {method} {path}: {error!r}") from error
        if response.status >= 300:
            raise DemoError(f"The Kubernetes API refused {method} {path}: {answer.get('message')}")
        return answer


def _core(kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}


@asynccontextmanager
async def administrator(kubeconfig: Path) -> AsyncIterator[Cluster]:
    """A connection as the administrator that ``kubeconfig`` names."""
    connection = server_connection(await load_configuration(str(kubeconfig)))
    try:
        yield Cluster(connection)
    finally:
        await connection.close()
