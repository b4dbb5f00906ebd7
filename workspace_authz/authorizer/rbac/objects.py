"""Roles and bindings of ``rbac.authorization.k8s.io/v1``, reduced to what can matter for MLflow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from sys import intern
from typing import Any, Final, TypeAlias

from workspace_authz.authorizer.rules import mlflow_rules, narrowed, witness
from workspace_authz.kubernetes.listwatch_answers import JsonObject, object_key
from workspace_authz.kubernetes.reviews import ResourceRule
from workspace_authz.types import Attributes

Rules: TypeAlias = tuple[ResourceRule, ...]

RoleKey: TypeAlias = tuple[str, str]
"""Namespace and name; a ClusterRole has no namespace."""

MANAGED_LABEL: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "workspace-authz"
"""Roles and bindings with this label and value were made by this software, and may be changed by it."""

DESCRIPTION: Final = "kubernetes.io/description"

_NO_TEXTS: Final = ()
_SHARED: Final = 1024
"""Different roles of which further ones like them are made one."""


@dataclass(frozen=True, slots=True)
class Role:
    """What a Role or ClusterRole says about MLflow."""

    rules: Rules
    witness: Attributes | None
    """One right that its holders have, without a namespace; None when the role grants none."""
    managed: bool = False
    """Whether it has :data:`MANAGED_LABEL`."""
    aggregated: bool = False
    """Whether a ClusterRole has its rules from others."""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Binding:
    """A RoleBinding or ClusterRoleBinding: whom it names, and which role they get."""

    role: str
    cluster_role: bool
    """The role is a ClusterRole."""
    users: tuple[str, ...]
    """Service accounts are users, by the name that they authenticate with."""
    groups: tuple[str, ...]
    managed: bool = False
    """Whether it has :data:`MANAGED_LABEL`."""

    def role_key(self, namespace: str) -> RoleKey:
        """The role of this binding in ``namespace``."""
        return ("", self.role) if self.cluster_role else (namespace, self.role)


class RoleReader:
    """Reads Roles and ClusterRoles. Equal ones are one object: a cluster may have one in each namespace."""

    def __init__(self) -> None:
        self._shared: dict[Role, Role] = {}

    def __call__(self, item: JsonObject) -> Role | None:
        """What the role grants; None when that is no MLflow right, and the role was not made by us."""
        rules = tuple(map(narrowed, mlflow_rules(read_rules(item))))
        proof, managed = witness(rules), is_managed(item)
        if proof is None and not managed:
            return None
        description = _text(_metadata(item, "annotations").get(DESCRIPTION)) if managed else ""
        role = Role(rules, proof, managed, isinstance(item.get("aggregationRule"), Mapping), description)
        if len(self._shared) >= _SHARED:
            self._shared.clear()
        return self._shared.setdefault(role, role)


def read_rules(item: JsonObject) -> Iterator[ResourceRule]:
    """Every rule on resources of a role, whatever it is about."""
    given = item.get("rules")
    return (
        (_rule(rule) for rule in given if isinstance(rule, Mapping)) if isinstance(given, list) else iter(())
    )


def read_binding(item: JsonObject) -> Binding | None:
    """None when it names nobody."""
    namespace, _ = object_key(item)
    role, subjects = item.get("roleRef"), item.get("subjects")
    if not isinstance(role, Mapping) or not isinstance(subjects, list):
        return None
    named = [subject for subject in subjects if isinstance(subject, Mapping)]
    users, groups = tuple(_users(named, namespace)), tuple(_groups(named))
    if not users and not groups:
        return None
    is_cluster_role = role.get("kind") == "ClusterRole"
    return Binding(_text(role.get("name")), is_cluster_role, users, groups, is_managed(item))


def is_managed(item: JsonObject) -> bool:
    """Whether the object has :data:`MANAGED_LABEL`."""
    return _metadata(item, "labels").get(MANAGED_LABEL) == MANAGED_BY


def _metadata(item: JsonObject, kind: str) -> Mapping[str, Any]:
    """The labels or annotations of an object."""
    metadata = item.get("metadata")
    entries = metadata.get(kind) if isinstance(metadata, Mapping) else None
    return entries if isinstance(entries, Mapping) else {}


def _rule(rule: Mapping[str, Any]) -> ResourceRule:
    keys = ("verbs", "apiGroups", "resources", "resourceNames")
    return ResourceRule(*(frozenset(_texts(rule.get(key))) for key in keys))


def _users(subjects: Iterable[Mapping[str, Any]], namespace: str) -> Iterator[str]:
    """``appliesToUser`` of kube-apiserver: a service account's namespace is the binding's by default."""
    for subject in subjects:
        kind, name = subject.get("kind"), subject.get("name")
        if kind == "User":
            yield _text(name)
        elif kind == "ServiceAccount" and (home := subject.get("namespace") or namespace):
            yield intern(f"system:serviceaccount:{home}:{name}")


def _groups(subjects: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    return (_text(subject.get("name")) for subject in subjects if subject.get("kind") == "Group")


def _texts(value: object) -> Iterable[str]:
    return (_text(each) for each in value) if isinstance(value, list) else _NO_TEXTS


def _text(value: object) -> str:
    """Interned: the same few names stand in thousands of objects."""
    return intern(value) if isinstance(value, str) else ""
