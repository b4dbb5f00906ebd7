"""The command lines that grant and revoke, for who does it with their own access to the cluster."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from workspace_authz.grants.objects import WORKSPACE_ROLES, ObjectGrant, RoleRef
from workspace_authz.grants.subjects import Subject, SubjectKind
from workspace_authz.types import Resource

OPTIONS: Final[Mapping[Resource, str]] = MappingProxyType(
    {
        Resource.EXPERIMENTS: "--experiment",
        Resource.REGISTERED_MODELS: "--model",
        Resource.DATASETS: "--dataset",
        Resource.MCP_SERVERS: "--mcp-server",
        Resource.SKILLS: "--skill",
        Resource.GATEWAY_ENDPOINTS: "--endpoint",
        Resource.GATEWAY_SECRETS: "--secret",
        Resource.GATEWAY_MODEL_DEFINITIONS: "--model-definition",
    }
)
"""The option of ``workspace-authz grant`` that names an object of a resource."""

_LEVELS: Final[Mapping[RoleRef, str]] = MappingProxyType(
    {role: level for level, role in WORKSPACE_ROLES.items()}
)


def grant_role_line(subject: Subject, namespace: str, *, role: RoleRef) -> str:
    """Gives a role in the whole namespace."""
    level = _LEVELS.get(role)
    if level is not None:
        return _command("workspace-authz", "grant", subject.text, level, "-n", namespace)
    name = f"{role.name}-{subject.name}".lower()
    return _command(
        "kubectl", "create", "rolebinding", name, f"--{role.kind.lower()}={role.name}", _kubectl(subject)
    ) + _command("", "-n", namespace)


def revoke_role_line(subject: Subject, namespace: str, *, role: RoleRef) -> str:
    """Takes a role back."""
    level = _LEVELS.get(role)
    if level is not None:
        return _command("workspace-authz", "revoke", subject.text, level, "-n", namespace)
    return _command("kubectl", "-n", namespace, "get", "rolebindings", "-o", "wide")


def grant_object_line(subject: Subject, namespace: str, *, grant: ObjectGrant) -> str:
    """Gives a level on one object."""
    named = [OPTIONS[grant.resource], grant.name]
    return _command("workspace-authz", "grant", subject.text, grant.level.lower(), "-n", namespace, *named)


def revoke_object_line(subject: Subject, namespace: str, *, resource: Resource, name: str) -> str:
    """Takes every level on one object back."""
    return _command("workspace-authz", "revoke", subject.text, "-n", namespace, OPTIONS[resource], name)


def _kubectl(subject: Subject) -> str:
    match subject.kind:
        case SubjectKind.SERVICE_ACCOUNT:
            return f"--serviceaccount={subject.namespace}:{subject.name}"
        case SubjectKind.GROUP:
            return f"--group={subject.name}"
        case SubjectKind.USER:
            return f"--user={subject.name}"


def _command(*words: str) -> str:
    parts: Sequence[str] = [shlex.quote(word) if word else "" for word in words]
    return " ".join(parts)
