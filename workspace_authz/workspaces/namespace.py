"""What is known of one namespace."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from workspace_authz.kubernetes.listwatch_answers import JsonObject
from workspace_authz.workspaces.policy import NamespacePolicy

DESCRIPTION_ANNOTATION: Final = "mlflow.kubeflow.org/workspace-description"

# RFC 1123 label, as Kubernetes demands of a namespace's name.
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def is_namespace_name(name: str) -> bool:
    """Whether a namespace can have this name. Nothing else is a safe part of a path."""
    return _LABEL.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class NamespaceInfo:
    """A namespace, reduced to what a workspace needs."""

    name: str
    uid: str
    description: str | None = None
    admitted: bool = True
    """The policy makes it a workspace."""
    terminating: bool = False
    """It is being deleted and takes no new objects."""

    @property
    def served(self) -> bool:
        """Whether it is a workspace now."""
        return self.admitted and not self.terminating


def read_namespace(item: JsonObject, policy: NamespacePolicy) -> NamespaceInfo:
    """Reduce a ``v1`` Namespace. What is missing or of the wrong type is left empty."""
    metadata = _mapping(item.get("metadata"))
    name = str(metadata.get("name") or "")
    labels = {str(key): str(value) for key, value in _mapping(metadata.get("labels")).items()}
    description = _mapping(metadata.get("annotations")).get(DESCRIPTION_ANNOTATION)
    phase = _mapping(item.get("status")).get("phase")
    return NamespaceInfo(
        name=name,
        uid=str(metadata.get("uid") or ""),
        description=description if isinstance(description, str) else None,
        admitted=policy.admits(name, labels),
        terminating=bool(metadata.get("deletionTimestamp")) or phase == "Terminating",
    )


def _mapping(value: object) -> JsonObject:
    return value if isinstance(value, dict) else {}
