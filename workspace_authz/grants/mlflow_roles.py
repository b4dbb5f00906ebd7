"""RBAC in the words of MLflow's own permissions: users who have roles, roles that have permissions.

MLflow's contract (``mlflow.server.auth``, 3.17.2) knows users by a name and roles of one workspace. Here a
user is a subject of a binding, and a role of a workspace is one of these:

| kind | is |
|---|---|
| ClusterRole | a ClusterRole that a RoleBinding there names, or one that this software ships |
| Role | a Role there, with its own name |
| cluster-wide | a ClusterRole that a ClusterRoleBinding names: it counts in all namespaces |
| direct | what was granted to one subject on single objects; named ``__user_<number>__``, as MLflow does it |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.authorizer.rbac.objects import Role
from workspace_authz.errors import BadRequestError
from workspace_authz.grants.holdings import Holding, holdings_in
from workspace_authz.grants.ids import number_of
from workspace_authz.grants.levels import Level, levels_in
from workspace_authz.grants.objects import WORKSPACE_ROLES
from workspace_authz.grants.subjects import Subject
from workspace_authz.types import Resource

EVERYWHERE: Final = "*"
"""Stands for all workspaces."""

RESOURCE_TYPES: Final[Mapping[str, Resource]] = MappingProxyType(
    {
        "experiment": Resource.EXPERIMENTS,
        "registered_model": Resource.REGISTERED_MODELS,
        "mcp_server": Resource.MCP_SERVERS,
        "gateway_endpoint": Resource.GATEWAY_ENDPOINTS,
        "gateway_secret": Resource.GATEWAY_SECRETS,
        "gateway_model_definition": Resource.GATEWAY_MODEL_DEFINITIONS,
        "dataset": Resource.DATASETS,
        "skill": Resource.SKILLS,
        "gateway_guardrail": Resource.GATEWAY_GUARDRAILS,
        "gateway_budget": Resource.GATEWAY_BUDGETS,
        "assistant": Resource.ASSISTANTS,
    }
)
"""MLflow's types of resources, and after the first six some of ours, which MLflow does not have."""
TYPE_NAMES: Final[Mapping[Resource, str]] = MappingProxyType(
    {resource: name for name, resource in RESOURCE_TYPES.items()}
)

ALL: Final = "*"
"""The pattern for all objects of a type."""

MOST_HOLDINGS: Final = 50_000
"""Of one answer, with single objects: one binding may name thousands of subjects, one Role of objects."""

GRANTING: Final = "workspace-admin"
"""The name of the role of those who may create RoleBindings in a workspace."""


class RoleKind(StrEnum):
    """What a role of the contract is in RBAC."""

    CLUSTER_ROLE = "ClusterRole"
    ROLE = "Role"
    CLUSTER_WIDE = "cluster-wide"
    DIRECT = "direct"
    OWN = "own"
    """What the caller holds, by whatever bindings; of others nobody is told so."""


@dataclass(frozen=True, slots=True)
class Permission:
    """One permission of a role."""

    role: int
    resource: Resource
    name: str
    """Empty for all objects."""
    level: Level

    @property
    def number(self) -> int:
        """Its id in the contract."""
        return number_of("permission", str(self.role), str(self.resource), self.name)


@dataclass(frozen=True, slots=True)
class MlflowRole:
    """A role of the contract."""

    workspace: str
    """A namespace, or :data:`EVERYWHERE`."""
    kind: RoleKind
    name: str
    """As RBAC knows it; of a direct one the text of its subject."""
    managed: bool = False
    """Whether this software made it, and may change it."""
    levels: Mapping[tuple[Resource, str], Level] = field(default_factory=dict)
    description: str = ""
    number: int = field(init=False)
    """Its id in the contract."""

    def __post_init__(self) -> None:
        number = number_of("role", self.workspace, str(self.kind), self.name)
        object.__setattr__(self, "number", number)

    @property
    def grants_others(self) -> bool:
        """Whether its holders may create RoleBindings in the workspace."""
        return self.kind is RoleKind.OWN and self.name == GRANTING

    @property
    def shown(self) -> str:
        """Its name in the contract."""
        if self.kind is RoleKind.DIRECT:
            return f"__user_{number_of('user', self.name)}__"
        return f"{self.name} (cluster-wide)" if self.kind is RoleKind.CLUSTER_WIDE else self.name

    @property
    def permissions(self) -> Sequence[Permission]:
        """What it gives, in a fixed order."""
        number = self.number
        return [Permission(number, *key, level) for key, level in self.levels.items()]


@dataclass(frozen=True, slots=True)
class Overview:
    """The roles of some namespaces, and who has them.

    It may be read in another thread. Both methods raise :class:`BadRequestError` beyond
    :data:`MOST_HOLDINGS`.
    """

    index: RbacIndex
    namespaces: Sequence[str]
    cluster_wide: bool
    """Whether what ClusterRoleBindings give is shown, too."""

    def roles(self) -> list[MlflowRole]:
        """All roles that can be had in the namespaces, and what was granted on single objects."""
        shipped = {ref.name: self.index.role(("", ref.name)) for ref in WORKSPACE_ROLES.values()}
        found: dict[int, MlflowRole] = {}
        for namespace in self.namespaces:
            for name, cluster_role in shipped.items():
                if cluster_role is not None:
                    _add(found, _role(RoleKind.CLUSTER_ROLE, name, workspace=namespace, role=cluster_role))
            for name, role in self.index.roles_in(namespace):
                if not self._is_direct(namespace, name):
                    _add(found, _role(RoleKind.ROLE, name, workspace=namespace, role=role))
        for _, given in self._given():
            _add(found, given)
        return list(found.values())

    def users(self) -> Mapping[Subject, Sequence[MlflowRole]]:
        """Every subject of a binding, by name, with their roles, each with the bindings that give it."""
        users: dict[Subject, dict[int, MlflowRole]] = {}
        for holding, role in self._given():
            own = users.setdefault(holding.subject, {})
            _add(own, role)
            if role.kind is not RoleKind.DIRECT:
                _describe(own, role, source=holding.source)
        return {subject: list(users[subject].values()) for subject in sorted(users)}

    def _given(self) -> Iterator[tuple[Holding, MlflowRole]]:
        spent, counted = 0, set[int]()
        for given in self._all_given():
            role = given[1]
            spent += 1 + (0 if role.number in counted else len(role.levels))
            counted.add(role.number)
            if spent > MOST_HOLDINGS:
                raise BadRequestError(
                    f"More than {MOST_HOLDINGS} rights are granted here, too many for one answer. "
                    "Ask about one workspace, or with `workspace-authz who -n NAMESPACE`."
                )
            yield given

    def _all_given(self) -> Iterator[tuple[Holding, MlflowRole]]:
        for namespace in (*self.namespaces, *([""] if self.cluster_wide else [])):
            shared: dict[tuple[str, str], MlflowRole] = {}  # one role for all who have it
            for holding in holdings_in(self.index, namespace):
                if holding.is_direct:
                    yield holding, _role_of(holding)
                    continue
                key = holding.role_namespace, holding.role_name
                role = shared[key] = shared.get(key) or _role_of(holding)
                yield holding, role

    def _is_direct(self, namespace: str, name: str) -> bool:
        """Whether a Role was made for one subject: then the binding to it has its name."""
        binding = self.index.binding((namespace, name))
        return binding is not None and binding.managed and binding.role_key(namespace) == (namespace, name)


def _add(roles: dict[int, MlflowRole], role: MlflowRole) -> None:
    """Put ``role`` beside the others; what was granted on single objects together."""
    before = roles.setdefault(role.number, role)
    if before is not role and role.kind is RoleKind.DIRECT:
        roles[role.number] = replace(before, levels={**before.levels, **role.levels})


def _describe(roles: dict[int, MlflowRole], role: MlflowRole, *, source: str) -> None:
    """Say by which binding ``role`` is given. One subject may have it by several."""
    before = roles[role.number].description
    sources = f"{before}; {source}" if before and before != role.description else source
    roles[role.number] = replace(roles[role.number], description=sources)


def _role_of(holding: Holding) -> MlflowRole:
    namespace, role = holding.binding_namespace, holding.role
    if not namespace:
        return _role(RoleKind.CLUSTER_WIDE, holding.role_name, workspace=EVERYWHERE, role=role)
    if holding.is_direct:
        return _role(RoleKind.DIRECT, holding.subject.text, workspace=namespace, role=role)
    kind = RoleKind.ROLE if holding.role_namespace else RoleKind.CLUSTER_ROLE
    return _role(kind, holding.role_name, workspace=namespace, role=role)


def _role(kind: RoleKind, name: str, *, workspace: str, role: Role) -> MlflowRole:
    return MlflowRole(
        workspace,
        kind,
        name,
        managed=role.managed,
        levels=levels_in(role.rules),
        description=role.description,
    )
