"""The files in ``manifests/`` as objects: one per overlay, and what is kept when an overlay is deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from tests.manifests.kube import ROOT

Object = Mapping[str, Any]

MANIFESTS: Final = ROOT / "manifests"


def _folders(of: str) -> Sequence[str]:
    return sorted(folder.name for folder in (ROOT / "kustomize" / of).iterdir())


OVERLAYS: Final = _folders("overlays")
KEPT: Final = _folders("kept")

_POD_SPECS: Final = {
    "Deployment": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
"""Where a workload keeps its pods' template."""


def flat(name: str) -> Path:
    """The file of an overlay, or of what is kept."""
    return MANIFESTS / f"{name}.yaml"


@cache
def objects(name: str) -> tuple[Object, ...]:
    """All objects of a flat file."""
    return tuple(yaml.safe_load_all(flat(name).read_text()))


def of_kind(found: Iterable[Object], *kinds: str) -> Sequence[Object]:
    """Those of these kinds."""
    return [each for each in found if each["kind"] in kinds]


@dataclass(frozen=True, slots=True)
class Workload:
    """Something that makes pods."""

    kind: str
    name: str
    namespace: str
    labels: Mapping[str, str]
    pod: Mapping[str, Any]
    """The spec of its pods."""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def containers(self) -> Sequence[Mapping[str, Any]]:
        """Those that start first included."""
        return [*self.pod.get("initContainers", ()), *self.pod["containers"]]


def workload(found: Object) -> Workload:
    """Of an object of a kind that makes pods."""
    template: Any = found
    for key in _POD_SPECS[found["kind"]]:
        template = template[key]
    metadata = found["metadata"]
    labels = template["metadata"].get("labels", {})
    return Workload(found["kind"], metadata["name"], metadata["namespace"], labels, template["spec"])


def workloads(found: Iterable[Object]) -> Sequence[Workload]:
    """Every one among these objects."""
    return [workload(each) for each in of_kind(found, *_POD_SPECS)]


def mounted(pod: Mapping[str, Any], *, source: str) -> Iterator[Any]:
    """The sources of this kind, as ``serviceAccountToken``, of all its projected volumes."""
    for volume in pod.get("volumes", ()):
        for projected in volume.get("projected", {}).get("sources", ()):
            if source in projected:
                yield projected[source]
