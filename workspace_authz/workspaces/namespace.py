"""What is known of one namespace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from workspace_authz.kubernetes.listwatch_answers import JsonObject
from workspace_authz.workspaces.policy import NamespacePolicy

DESCRIPTION_ANNOTATION: Final = "mlflow.kubeflow.org/workspace-description"
SOURCES_ANNOTATION: Final = "mlflow.kubeflow.org/model-sources"
"""Narrows the setting ``model_sources`` for one workspace. Tenants may write it."""
LONGEST_SOURCES: Final = 4096
"""Characters of that annotation."""


@dataclass(frozen=True, slots=True)
class NamespaceInfo:
    """A namespace, reduced to what a workspace needs."""

    name: str
    uid: str
    description: str | None = None
    admitted: bool = True
    """The policy does not hide its name."""
    terminating: bool = False
    """It is being deleted and takes no new objects."""
    model_sources: str | None = None
    """Its prefixes of model sources, separated by commas; None narrows nothing, an empty text leaves none."""

    @property
    def served(self) -> bool:
        """Whether it is a workspace now, if the label selector selects it."""
        return self.admitted and not self.terminating


def read_namespace(item: JsonObject, policy: NamespacePolicy) -> NamespaceInfo:
    """Reduce a ``v1`` Namespace. Fields that are missing or of the wrong type are left empty."""
    metadata = _mapping(item.get("metadata"))
    name = str(metadata.get("name") or "")
    annotations = _mapping(metadata.get("annotations"))
    description, sources = annotations.get(DESCRIPTION_ANNOTATION), annotations.get(SOURCES_ANNOTATION)
    phase = _mapping(item.get("status")).get("phase")
    return NamespaceInfo(
        name=name,
        uid=str(metadata.get("uid") or ""),
        description=description if isinstance(description, str) else None,
        admitted=not policy.hides(name),
        terminating=bool(metadata.get("deletionTimestamp")) or phase == "Terminating",
        model_sources=_bounded(sources) if SOURCES_ANNOTATION in annotations else None,
    )


def _bounded(sources: object) -> str:
    """What cannot be read, or is too long, leaves no source."""
    return sources if isinstance(sources, str) and len(sources) <= LONGEST_SOURCES else ""


def _mapping(value: object) -> JsonObject:
    return value if isinstance(value, dict) else {}
