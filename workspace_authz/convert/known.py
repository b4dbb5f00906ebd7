"""The objects of an MLflow, by id and by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from workspace_authz.mlflow_adapter.store.named_objects import NamedObject
from workspace_authz.types import Resource


@dataclass(frozen=True, slots=True)
class Known:
    """What MLflow's database has. Without a database nothing is known, and :attr:`complete` says so."""

    complete: bool = False
    by_id: Mapping[tuple[Resource, str], NamedObject] = field(default_factory=dict)
    by_name: Mapping[tuple[Resource, str, str], NamedObject] = field(default_factory=dict)
    """By resource, workspace and name."""
    groups: Mapping[tuple[Resource, str], Sequence[NamedObject]] = field(default_factory=dict)
    """By resource and workspace."""

    @property
    def workspaces(self) -> Sequence[str]:
        """Those that have an object."""
        return sorted({workspace for _, workspace in self.groups})

    def all_of(self, resource: Resource, workspace: str) -> Sequence[NamedObject]:
        """The objects of a workspace, by name."""
        return self.groups.get((resource, workspace), ())


def know(objects: Iterable[NamedObject]) -> Known:
    """All there is."""
    by_id: dict[tuple[Resource, str], NamedObject] = {}
    by_name: dict[tuple[Resource, str, str], NamedObject] = {}
    groups: dict[tuple[Resource, str], list[NamedObject]] = defaultdict(list)
    for each in objects:
        by_id[each.resource, each.id] = each
        by_name[each.resource, each.workspace, each.name] = each
        groups[each.resource, each.workspace].append(each)
    return Known(True, by_id, by_name, groups)
