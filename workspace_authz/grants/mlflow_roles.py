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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from workspace_authz.authorizer.rbac.objects import Role
from workspace_authz.grants.ids import number_of
from workspace_authz.grants.levels import Level
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
    rules: Role | None = None
    """None where the cluster has no such role."""
    levels: Mapping[tuple[Resource, str], Level] = field(default_factory=dict)
    description: str = ""

    @property
    def number(self) -> int:
        """Its id in the contract."""
        return number_of("role", self.workspace, str(self.kind), self.name)

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
    def is_ours(self) -> bool:
        """Whether this software made it, and may change it."""
        return self.kind is RoleKind.ROLE and self.rules is not None and self.rules.managed

    @property
    def permissions(self) -> Sequence[Permission]:
        """What it gives, in a fixed order."""
        number = self.number
        return [Permission(number, *key, level) for key, level in self.levels.items()]
