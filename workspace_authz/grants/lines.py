"""The commands that an administrator types for a grant: of this package, and of kubectl.

They are quoted for a POSIX shell, so that no name can say more than a name.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from workspace_authz.grants.objects import (
    WORKSPACE_ROLES,
    Manifest,
    ObjectGrant,
    RoleRef,
    role_grant,
)
from workspace_authz.grants.subjects import Subject
from workspace_authz.types import Resource

_PROGRAM: Final = "workspace-authz"

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
"""The resources whose single objects rights may name, and the options by which commands name them."""

_LEVELS: Final[Mapping[RoleRef, str]] = MappingProxyType(
    {role: name for name, role in WORKSPACE_ROLES.items()}
)


def role_line(subject: Subject, namespace: str, *, role: RoleRef, verb: str = "grant") -> str:
    """``workspace-authz grant`` or ``revoke`` of a role in the whole workspace; kubectl's for a role that is
    no level."""
    level = _LEVELS.get(role)
    if level is None:
        return kubectl_command([role_grant(subject, namespace, role=role)], verb=verb)
    return _line(verb, subject.text, level, "-n", namespace)


def object_line(subject: Subject, namespace: str, *, grant: ObjectGrant) -> str:
    """``workspace-authz grant`` of a level on one object."""
    option = f"{OPTIONS[grant.resource]}={grant.name}"
    return _line("grant", subject.text, grant.level.lower(), option, "-n", namespace)


def revoke_object_line(subject: Subject, namespace: str, *, resource: Resource, name: str) -> str:
    """``workspace-authz revoke`` of every level on one object."""
    return _line("revoke", subject.text, f"{OPTIONS[resource]}={name}", "-n", namespace)


def kubectl_command(manifests: Sequence[Manifest], *, verb: str = "grant") -> str:
    """One line of ``kubectl`` that applies the objects, or deletes them."""
    items = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)}, ensure_ascii=False)
    command = "apply" if verb == "grant" else "delete"
    return f"printf %s {shlex.quote(items)} | kubectl {command} -f -"


def _line(verb: str, *words: str) -> str:
    return shlex.join([_PROGRAM, verb, *words])
