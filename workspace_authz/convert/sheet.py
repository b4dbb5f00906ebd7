"""The objects that are written, each once, as ``workspace-authz grant`` and MLflow's pages write them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from workspace_authz.authorizer.rbac.objects import DESCRIPTION
from workspace_authz.convert.source import rank
from workspace_authz.convert.targets import Target
from workspace_authz.grants.levels import Level, rules_for
from workspace_authz.grants.objects import (
    Manifest,
    ObjectGrant,
    RoleRef,
    object_grant,
    role_grant,
    role_manifest,
)
from workspace_authz.grants.subjects import Subject, SubjectKind
from workspace_authz.kubernetes.reviews import ResourceRule
from workspace_authz.types import Resource, Verb

_KINDS: Final = ("ServiceAccount", "Role", "RoleBinding")


@dataclass(slots=True)
class _Content:
    """A Role of which the rules are collected."""

    description: str
    levels: dict[tuple[Resource, str], Level] = field(default_factory=dict)


@dataclass(slots=True)
class Sheet:
    """Collects what is given. Of two levels on one object the higher one is written."""

    objects: dict[tuple[Subject, Target], Level] = field(default_factory=dict)
    given: dict[tuple[Subject, str, RoleRef], None] = field(default_factory=dict)
    contents: dict[tuple[str, str], _Content] = field(default_factory=dict)

    def give(self, subject: Subject, target: Target, *, level: Level) -> None:
        """``level`` on an object, or on all of a resource."""
        if target.name:
            before = self.objects.get((subject, target))
            if rank(before) < rank(level):
                self.objects[subject, target] = level
            return
        name = f"mlflow-all-{target.resource}-{level.lower()}"
        self.add(target, name, level=level, description=f"{level} on all {target.resource}")
        self.give_role(subject, target.namespace, role=RoleRef(name, "Role"))

    def give_role(self, subject: Subject, namespace: str, *, role: RoleRef) -> None:
        """A role in the namespace."""
        self.given[subject, namespace, role] = None

    def add(self, target: Target, name: str, *, level: Level, description: str = "") -> None:
        """``level`` on an object to a Role called ``name``."""
        content = self.contents.setdefault((target.namespace, name), _Content(description))
        if target.resource is not None:
            key = (target.resource, target.name)
            if rank(content.levels.get(key)) < rank(level):
                content.levels[key] = level

    def manifests(self) -> Sequence[Manifest]:
        """All of them, accounts and Roles before what binds them."""
        made = [*self._accounts(), *self._roles(), *self._object_grants()]
        made += [role_grant(subject, namespace, role=role) for subject, namespace, role in self.given]
        return sorted(made, key=_order)

    def _accounts(self) -> Iterable[Manifest]:
        subjects = {*(subject for subject, _ in self.objects), *(subject for subject, *_ in self.given)}
        for each in subjects:
            if each.kind is SubjectKind.SERVICE_ACCOUNT:
                metadata = {"name": each.name, "namespace": each.namespace}
                yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}

    def _roles(self) -> Iterable[Manifest]:
        for (namespace, name), content in self.contents.items():
            annotations = {DESCRIPTION: content.description} if content.description else {}
            yield role_manifest(namespace, name, rules=_rules(content), annotations=annotations)

    def _object_grants(self) -> Iterable[Manifest]:
        for (subject, target), level in self.objects.items():
            if target.resource is not None:
                grant = ObjectGrant(target.resource, target.name, level).possible
                yield from object_grant(subject, target.namespace, grant=grant)


def _rules(content: _Content) -> Iterable[ResourceRule]:
    """One rule for all objects of the same right. Nothing here lets anybody make objects."""
    names: dict[ResourceRule, set[str]] = defaultdict(set)
    for (resource, name), level in content.levels.items():
        for rule in rules_for(resource, level, name=name):
            used = any("/" in each for each in rule.resources)
            verbs = rule.verbs if used else rule.verbs - {Verb.CREATE}
            names[replace(rule, verbs=verbs, names=frozenset())] |= rule.names or {""}
    for rule, all_names in names.items():
        if "" in all_names:
            yield rule
        if all_names - {""}:
            yield replace(rule, names=frozenset(all_names - {""}))


def _order(manifest: Manifest) -> tuple[int, str, str]:
    metadata: dict[str, Any] = manifest["metadata"]
    return _KINDS.index(manifest["kind"]), metadata["namespace"], metadata["name"]
