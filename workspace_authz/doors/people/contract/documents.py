"""MLflow's users, roles and permissions as JSON (``mlflow.server.auth.entities``, 3.17.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from workspace_authz.grants.ids import number_of
from workspace_authz.grants.mlflow_roles import ALL, TYPE_NAMES, MlflowRole, Permission
from workspace_authz.types import Resource

BY_ID: Final = frozenset(
    {
        Resource.EXPERIMENTS,
        Resource.GATEWAY_ENDPOINTS,
        Resource.GATEWAY_SECRETS,
        Resource.GATEWAY_MODEL_DEFINITIONS,
    }
)
"""Resources whose objects the contract names by MLflow's id; the others by name."""
_WORKSPACE: Final = {"resource_type": "workspace", "resource_pattern": ALL, "permission": "MANAGE"}


@dataclass(frozen=True, slots=True)
class Documents:
    """Writes them. ``ids`` are those of named objects, by namespace, resource and name."""

    ids: Mapping[tuple[str, Resource, str], str]
    single: str | None = None
    """The namespace of a server without workspaces, and what MLflow calls it."""
    single_workspace: str = ""
    _written: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    """The permissions of roles that are written already: many users have the same one."""

    def role(self, role: MlflowRole) -> dict[str, Any]:
        """A role with its permissions."""
        return {
            "id": role.number,
            "name": role.shown,
            "workspace": self._workspace(role),
            "description": role.description,
            "permissions": self._permissions(role),
        }

    def permission(self, role: MlflowRole, permission: Permission) -> dict[str, Any]:
        """One permission of a role."""
        return {"id": permission.number, "role_id": role.number, **self._granted(role, permission)}

    def rows(self, roles: Iterable[MlflowRole]) -> list[dict[str, Any]]:
        """All permissions of several roles, each with its role."""
        return [
            {
                "role_id": role.number,
                "role_name": role.shown,
                "workspace": self._workspace(role),
                "resource_type": each["resource_type"],
                "resource_pattern": each["resource_pattern"],
                "permission": each["permission"],
            }
            for role in roles
            for each in self._permissions(role)
        ]

    def _permissions(self, role: MlflowRole) -> list[dict[str, Any]]:
        written = self._written.get(role.number)
        if written is None:
            written = [self.permission(role, permission) for permission in role.permissions]
            if role.grants_others:
                number = number_of("permission", str(role.number), "workspace")
                written.append({"id": number, "role_id": role.number, **_WORKSPACE})
            self._written[role.number] = written
        return written

    def _granted(self, role: MlflowRole, permission: Permission) -> dict[str, str]:
        name = permission.name
        if permission.resource in BY_ID:
            name = self.ids.get((role.workspace, permission.resource, name), name)
        return {
            "resource_type": TYPE_NAMES[permission.resource],
            "resource_pattern": name or ALL,
            "permission": str(permission.level),
        }

    def _workspace(self, role: MlflowRole) -> str:
        return self.single_workspace if role.workspace == self.single else role.workspace


def user_document(name: str, *, is_admin: bool = False) -> dict[str, Any]:
    """A user. ``name`` is a subject's text."""
    return {"id": user_number(name), "username": name, "is_admin": is_admin}


def user_number(name: str) -> int:
    """The id of a user in the contract."""
    return number_of("user", name)


def to_look_up(roles: Iterable[MlflowRole]) -> set[tuple[str, Resource, str]]:
    """The objects of ``roles`` whose ids are needed."""
    return {
        (role.workspace, permission.resource, permission.name)
        for role in roles
        for permission in role.permissions
        if permission.name and permission.resource in BY_ID
    }
