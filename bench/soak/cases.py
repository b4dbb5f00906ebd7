"""Rights that one kind of change gives and takes away, each held by accounts of a namespace of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bench.soak.ledger import Ledger
from workspace_authz.devplane.api import Api, ApiError, until

RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"
_API_GROUP: Final = "rbac.authorization.k8s.io"
_LABEL: Final = "soak-aggregate"

READ: Final = [
    {
        "apiGroups": ["mlflow.kubeflow.org"],
        "resources": ["experiments", "registeredmodels"],
        "verbs": ["get", "list"],
    }
]
OTHER: Final = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One request to the Kubernetes API."""

    method: str
    path: str
    body: Object | None = None

    async def run(self, api: Api) -> None:
        """Raises :class:`ApiError` when the API server refuses."""
        kind = "application/merge-patch+json" if self.method == "PATCH" else "application/json"
        answer = await api.request(self.method, self.path, body=self.body, content_type=kind)
        if not answer.ok:
            raise ApiError(f"{self.method} {self.path}", answer)


@dataclass(frozen=True, slots=True)
class Switch:
    """How one right is given and taken away."""

    kind: str
    grant: Step
    revoke: Step
    prepared: tuple[Step, ...] = ()
    aggregate: str = ""
    """The path of a ClusterRole that a controller fills: the change is made when it is."""

    async def turn(self, api: Api, *, on: bool, run: Callable[[Step], Awaitable[None]] | None = None) -> None:
        """Make the change, or have it made by ``run``. Returns when the API server's objects say so."""
        step = self.grant if on else self.revoke
        await (run(step) if run else step.run(api))
        if self.aggregate:

            async def filled() -> bool:
                return bool((await api.get(self.aggregate)).body.get("rules")) is on

            await until(filled)


@dataclass(frozen=True, slots=True)
class Case:
    """One right in one namespace, and all that ever happened to it."""

    namespace: str
    switch: Switch
    ledger: Ledger
    tokens: list[str] = field(default_factory=list, repr=False)
    """Of the accounts that hold it or not."""

    async def prepare(self, api: Api, *, accounts: int) -> None:
        """Make the namespace, its accounts, and what the switch needs. Nobody holds the right yet."""
        await Step("POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace}}).run(api)
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts"
        for number in range(accounts):
            name = f"client-{number}"
            await Step("POST", path, {"metadata": {"name": name}}).run(api)
            answer = await api.post(f"{path}/{name}/token", {"spec": {"expirationSeconds": 3600}})
            if not answer.ok:
                raise ApiError(f"a token of {name}", answer)
            self.tokens.append(answer.body["status"]["token"])
        for step in self.switch.prepared:
            await step.run(api)

    async def turn(self, api: Api) -> None:
        """Give the right, or take it away."""
        change = self.ledger.begin(allowed=not self.ledger.present.allowed)
        await self.switch.turn(api, on=change.allowed)
        self.ledger.answered()

    async def clear(self, api: Api) -> None:
        """Delete what it made outside its namespace, and the namespace."""
        for resource in ("clusterrolebindings", "clusterroles"):
            for name in (self.namespace, f"{self.namespace}-part"):
                await api.request("DELETE", f"{RBAC}/{resource}/{name}")
        await api.request("DELETE", f"/api/v1/namespaces/{self.namespace}")


def switches(namespace: str) -> dict[str, Switch]:
    """By kind of change: how the accounts of ``namespace`` get the right to read there, and lose it."""
    makers = (_role_binding, _cluster_role_binding, _role, _cluster_role, _aggregated)
    made = [make(namespace) for make in makers]
    return {switch.kind: switch for switch in made}


def _role_binding(namespace: str) -> Switch:
    path = f"{RBAC}/namespaces/{namespace}/rolebindings"
    return Switch(
        kind="RoleBinding",
        prepared=(_create_role(namespace, READ),),
        grant=_bind(namespace, "Role"),
        revoke=Step("DELETE", f"{path}/soak"),
    )


def _cluster_role_binding(namespace: str) -> Switch:
    path = f"{RBAC}/clusterrolebindings"
    body = {**_binding(namespace, "ClusterRole", namespace), "metadata": {"name": namespace}}
    return Switch(
        kind="ClusterRoleBinding",
        prepared=(_create_cluster_role(namespace, {"rules": READ}),),
        grant=Step("POST", path, body),
        revoke=Step("DELETE", f"{path}/{namespace}"),
    )


def _role(namespace: str) -> Switch:
    path = f"{RBAC}/namespaces/{namespace}/roles/soak"
    return Switch(
        kind="Role",
        prepared=(_create_role(namespace, OTHER), _bind(namespace, "Role")),
        grant=Step("PATCH", path, {"rules": READ}),
        revoke=Step("PATCH", path, {"rules": OTHER}),
    )


def _cluster_role(namespace: str) -> Switch:
    path = f"{RBAC}/clusterroles/{namespace}"
    return Switch(
        kind="ClusterRole",
        prepared=(_create_cluster_role(namespace, {"rules": OTHER}), _bind(namespace, "ClusterRole")),
        grant=Step("PATCH", path, {"rules": READ}),
        revoke=Step("PATCH", path, {"rules": OTHER}),
    )


def _aggregated(namespace: str) -> Switch:
    part = f"{namespace}-part"
    selectors = {"clusterRoleSelectors": [{"matchLabels": {_LABEL: namespace}}]}
    path = f"{RBAC}/clusterroles/{part}"
    return Switch(
        kind="aggregated ClusterRole",
        prepared=(
            _create_cluster_role(namespace, {"aggregationRule": selectors, "rules": []}),
            _create_cluster_role(part, {"rules": READ}),
            _bind(namespace, "ClusterRole"),
        ),
        grant=Step("PATCH", path, {"metadata": {"labels": {_LABEL: namespace}}}),
        revoke=Step("PATCH", path, {"metadata": {"labels": {_LABEL: None}}}),
        aggregate=f"{RBAC}/clusterroles/{namespace}",
    )


def _create_role(namespace: str, rules: list[dict[str, Any]]) -> Step:
    path = f"{RBAC}/namespaces/{namespace}/roles"
    return Step("POST", path, {"metadata": {"name": "soak"}, "rules": rules})


def _create_cluster_role(name: str, contents: Mapping[str, Any]) -> Step:
    return Step("POST", f"{RBAC}/clusterroles", {"metadata": {"name": name}, **contents})


def _bind(namespace: str, kind: str) -> Step:
    """A RoleBinding of the namespace's accounts to its Role, or to the ClusterRole of its name."""
    body = _binding(namespace, kind, "soak" if kind == "Role" else namespace)
    return Step("POST", f"{RBAC}/namespaces/{namespace}/rolebindings", body)


def _binding(namespace: str, kind: str, name: str) -> Object:
    group = f"system:serviceaccounts:{namespace}"
    return {
        "metadata": {"name": "soak"},
        "roleRef": {"apiGroup": _API_GROUP, "kind": kind, "name": name},
        "subjects": [{"apiGroup": _API_GROUP, "kind": "Group", "name": group}],
    }
