"""The Roles and RoleBindings that grant something in a namespace, as they are written to Kubernetes.

Each has a name that follows from what it grants to whom, so that who grants the same thing again, here or on
another replica, meets what is there. No two subjects share an object: two writers would lose each other's.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from workspace_authz.authorizer.rbac.objects import DESCRIPTION, MANAGED_BY, MANAGED_LABEL, Rules
from workspace_authz.grants.levels import Level, rules_for
from workspace_authz.grants.subjects import Subject
from workspace_authz.kubernetes.reviews import ResourceRule
from workspace_authz.types import API_GROUP, USABLE, Resource, Verb

RBAC_GROUP: Final = "rbac.authorization.k8s.io"
RBAC_API: Final = f"/apis/{RBAC_GROUP}/v1"
_LONGEST_NAME: Final = 63
_DIGEST_CHARACTERS: Final = 16
_VERB_ORDER: Final = {str(verb): number for number, verb in enumerate(Verb)}

SUBJECT: Final = f"{API_GROUP}/subject"
OBJECT: Final = f"{API_GROUP}/object"
LEVEL: Final = f"{API_GROUP}/level"
"""Annotations by which people read what an object grants. Nothing reads them back."""

Manifest: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class RoleRef:
    """The ``roleRef`` of a binding."""

    name: str
    kind: str = "ClusterRole"
    """``ClusterRole`` or ``Role``."""

    @property
    def manifest(self) -> Manifest:
        """As it stands in a binding."""
        return {"apiGroup": RBAC_GROUP, "kind": self.kind, "name": self.name}


@dataclass(frozen=True, slots=True, order=True)
class ObjectGrant:
    """A level on one object, by MLflow's name of it."""

    resource: Resource
    name: str
    level: Level

    @property
    def possible(self) -> ObjectGrant:
        """The same with READ in the place of USE, where nothing can be used."""
        if self.level is Level.USE and self.resource not in USABLE:
            return replace(self, level=Level.READ)
        return self

    @property
    def text(self) -> str:
        """The object, as people read it."""
        return f"{self.resource}/{self.name}"


WORKSPACE_ROLES: Final = {
    level: RoleRef(f"mlflow-{level}") for level in ("view", "edit", "admin", "integration")
}
"""The levels on a whole workspace, and the shipped ClusterRoles that they are."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a Role or RoleBinding is; without a name where all are."""

    kind: str
    namespace: str
    name: str = ""

    @property
    def path(self) -> str:
        """In the Kubernetes API."""
        name = f"/{quote(self.name, safe='')}" if self.name else ""
        return f"{RBAC_API}/namespaces/{quote(self.namespace, safe='')}/{self.kind.lower()}s{name}"

    @property
    def collection(self) -> str:
        """Where it is made."""
        return replace(self, name="").path

    @property
    def text(self) -> str:
        """As people read it."""
        return f"the {self.kind} {self.name} in {self.namespace}"

    def command(self, verb: str) -> str:
        """What an administrator types to ``edit`` or ``delete`` it."""
        return f"kubectl -n {self.namespace} {verb} {self.kind.lower()} {shlex.quote(self.name)}"


def place_of(manifest: Mapping[str, Any]) -> Place:
    """Where an object is that says its kind."""
    metadata = manifest["metadata"]
    return Place(manifest["kind"], metadata["namespace"], metadata["name"])


def role_grant(subject: Subject, namespace: str, *, role: RoleRef) -> Manifest:
    """The RoleBinding that gives ``role`` to ``subject`` in the whole namespace."""
    name = _name(role.name, subject, also=(role.kind, role.name))
    return _binding(namespace, name, subject=subject, role=role, annotations={SUBJECT: subject.text})


def object_grant(subject: Subject, namespace: str, *, grant: ObjectGrant) -> tuple[Manifest, Manifest]:
    """The Role and the RoleBinding that give ``subject`` a level on one object."""
    readable = f"{grant.level.lower()}-{grant.resource}-{grant.name}"
    name = _name(readable, subject, also=(str(grant.level), str(grant.resource), grant.name))
    annotations = {SUBJECT: subject.text, OBJECT: grant.text, LEVEL: str(grant.level)}
    rules = rules_for(grant.resource, grant.level, name=grant.name)
    role = role_manifest(namespace, name, rules=rules, annotations=annotations)
    return role, _binding(
        namespace, name, subject=subject, role=RoleRef(name, "Role"), annotations=annotations
    )


def described_role(namespace: str, name: str, *, description: str) -> Manifest:
    """A Role without rules that people give a name, and rules later."""
    annotations = {DESCRIPTION: description} if description else {}
    return role_manifest(namespace, name, rules=(), annotations=annotations)


def described(there: Mapping[str, Any], description: str) -> Mapping[str, Any]:
    """``there`` with another description; itself where that is the same."""
    metadata = there["metadata"]
    annotations = metadata.get("annotations") or {}
    if annotations.get(DESCRIPTION, "") == description:
        return there
    return {**there, "metadata": {**metadata, "annotations": {**annotations, DESCRIPTION: description}}}


def role_manifest(
    namespace: str, name: str, *, rules: Iterable[ResourceRule], annotations: dict[str, str]
) -> Manifest:
    """A Role of ours."""
    metadata = _metadata(namespace, name, annotations=annotations)
    return _object("Role", metadata) | {"rules": rules_manifest(rules)}


def rules_manifest(rules: Iterable[ResourceRule]) -> list[Manifest]:
    """Rules as they stand in a Role; equal sets always in the same order."""
    return [_rule(rule) for rule in rules]


def changed_level(rules: Rules, resource: Resource, *, name: str, level: Level | None) -> Rules:
    """``rules`` with ``level`` on the object, or without a name on all objects; None for no right on it.

    Rules that also say something else are kept for that.
    """
    kept = [part for rule in rules for part in _without(rule, resource, name=name)]
    added = rules_for(resource, level, name=name) if level is not None else ()
    return (*kept, *added)


def _without(rule: ResourceRule, resource: Resource, *, name: str) -> Sequence[ResourceRule]:
    """What is left of ``rule`` when it says nothing any more of the object, or of all objects."""
    own = frozenset(each for each in rule.resources if each.partition("/")[0] == resource)
    names = rule.names - {name}
    if not own or not rule.groups & {API_GROUP} or (name not in rule.names if name else rule.names):
        return [rule]
    parts = [(rule.resources - own, rule.names)]
    if name:
        parts.append((own, names))
    return [
        ResourceRule(rule.verbs, rule.groups, resources, left)
        for resources, left in parts
        if resources and (left or not rule.names)
    ]


def _binding(
    namespace: str, name: str, *, subject: Subject, role: RoleRef, annotations: dict[str, str]
) -> Manifest:
    metadata = _metadata(namespace, name, annotations=annotations)
    return _object("RoleBinding", metadata) | {"roleRef": role.manifest, "subjects": [subject.manifest]}


def _object(kind: str, metadata: Manifest) -> Manifest:
    return {"apiVersion": f"{RBAC_GROUP}/v1", "kind": kind, "metadata": metadata}


def _metadata(namespace: str, name: str, *, annotations: dict[str, str]) -> Manifest:
    metadata: Manifest = {"name": name, "namespace": namespace, "labels": {MANAGED_LABEL: MANAGED_BY}}
    return metadata | ({"annotations": annotations} if annotations else {})


def _rule(rule: ResourceRule) -> Manifest:
    verbs = sorted(rule.verbs, key=lambda verb: (_VERB_ORDER.get(verb, len(_VERB_ORDER)), verb))
    manifest = {"apiGroups": sorted(rule.groups), "resources": sorted(rule.resources)}
    return manifest | ({"resourceNames": sorted(rule.names)} if rule.names else {}) | {"verbs": verbs}


def _name(readable: str, subject: Subject, *, also: Sequence[str]) -> str:
    """A name that no other grant has: what people recognize, and a digest of all of it."""
    whole = json.dumps([str(subject.kind), subject.namespace, subject.name, *also])
    digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARACTERS]
    text = re.sub("[^a-z0-9]+", "-", f"{readable}-{subject.name}".lower())
    return f"{text[: _LONGEST_NAME - _DIGEST_CHARACTERS - 1].strip('-') or 'mlflow'}-{digest}"
