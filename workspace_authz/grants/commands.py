"""The command lines that grant and revoke, for who does it with their own access to the cluster.

They are quoted for a POSIX shell, so that a name can be no more than a name.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from workspace_authz.grants.objects import WORKSPACE_ROLES, ObjectGrant, RoleRef, place_of, role_grant
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

LONGEST_NAME: Final = 500
"""Characters of an object's name that commands take."""

_LEVELS: Final[Mapping[RoleRef, str]] = MappingProxyType(
    {role: level for level, role in WORKSPACE_ROLES.items()}
)


def is_word(name: str) -> bool:
    """Whether commands take ``name`` for that of an object: of many characters, or of odd ones, none is."""
    return 0 < len(name) <= LONGEST_NAME and name.isprintable()


def grant_role_line(subject: Subject, namespace: str, *, role: RoleRef) -> str:
    """Gives a role in the whole namespace."""
    level = _LEVELS.get(role)
    if level is not None:
        return _ours("grant", subject.text, level, "-n", namespace)
    name = place_of(role_grant(subject, namespace, role=role)).name
    return bind_line(subject, namespace, role=role, name=name)


def revoke_role_line(subject: Subject, namespace: str, *, role: RoleRef) -> str:
    """Takes a role back that was given here."""
    level = _LEVELS.get(role)
    if level is not None:
        return _ours("revoke", subject.text, level, "-n", namespace)
    return place_of(role_grant(subject, namespace, role=role)).command("delete")


def grant_object_line(subject: Subject, namespace: str, *, grant: ObjectGrant) -> str:
    """Gives a level on one object."""
    named = f"{OPTIONS[grant.resource]}={grant.name}"
    return _ours("grant", subject.text, grant.level.lower(), named, "-n", namespace)


def revoke_object_line(subject: Subject, namespace: str, *, resource: Resource, name: str) -> str:
    """Takes every level on one object back."""
    return _ours("revoke", subject.text, f"{OPTIONS[resource]}={name}", "-n", namespace)


def bind_line(subject: Subject, namespace: str, *, role: RoleRef, name: str) -> str:
    """The ``kubectl`` command that makes a RoleBinding called ``name``."""
    what, whom = f"--{role.kind.lower()}={role.name}", _whom(subject)
    return shlex.join(["kubectl", "create", "rolebinding", name, what, whom, "-n", namespace])


def _whom(subject: Subject) -> str:
    match subject.kind:
        case SubjectKind.SERVICE_ACCOUNT:
            return f"--serviceaccount={subject.namespace}:{subject.name}"
        case SubjectKind.GROUP:
            return f"--group={subject.name}"
        case SubjectKind.USER:
            return f"--user={subject.name}"


def _ours(*words: str) -> str:
    return shlex.join(["workspace-authz", *words])
