"""What roles and bindings say, and whether one rule permits what is asked. Plain values, no look-ups.

Semantics: https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workspace_authz.devplane.embedded.objects import name_of, namespace_of
from workspace_authz.types import UserInfo

GROUP = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class AccessAttributes:
    """One question: a resource request, or, with ``path``, a request outside the API's resources."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    """Empty: all namespaces, or a cluster-scoped resource."""
    name: str = ""
    path: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One entry of a role's ``rules``."""

    verbs: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()

    @classmethod
    def parse(cls, rule: Mapping[str, Any]) -> PolicyRule:
        """Read the JSON form."""
        keys = ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs")
        return cls(*(tuple(rule.get(key) or ()) for key in keys))


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a binding names."""

    kind: str
    name: str
    namespace: str = ""

    def is_user(self, user: UserInfo, *, binding_namespace: str) -> bool:
        """Whether this names ``user``; a service account's namespace defaults to the binding's."""
        if self.kind == "User":
            return user.username == self.name
        if self.kind == "Group":
            return self.name in user.groups
        if self.kind == "ServiceAccount":
            namespace = self.namespace or binding_namespace
            return bool(namespace) and user.username == f"system:serviceaccount:{namespace}:{self.name}"
        return False

    def describe(self, binding_namespace: str) -> str:
        """As it appears in the reason of an allowed review."""
        if self.kind == "ServiceAccount":
            return f'{self.kind} "{self.name}/{self.namespace or binding_namespace}"'
        return f'{self.kind} "{self.name}"'


@dataclass(frozen=True, slots=True)
class RoleRef:
    """Which role a binding grants: ``kind`` is Role or ClusterRole."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Binding:
    """A RoleBinding, or, without a namespace, a ClusterRoleBinding."""

    name: str
    namespace: str
    role: RoleRef
    subjects: tuple[Subject, ...]

    @classmethod
    def parse(cls, binding: Mapping[str, Any]) -> Binding:
        """Read the JSON form."""
        subjects = (
            Subject(each.get("kind", ""), each.get("name", ""), each.get("namespace", ""))
            for each in binding.get("subjects") or ()
        )
        ref = binding.get("roleRef") or {}
        role = RoleRef(ref.get("kind", ""), ref.get("name", ""))
        return cls(name_of(binding), namespace_of(binding), role, tuple(subjects))

    def subject_for(self, user: UserInfo) -> Subject | None:
        """The first subject that names ``user``."""
        for subject in self.subjects:
            if subject.is_user(user, binding_namespace=self.namespace):
                return subject
        return None

    def describe(self, subject: Subject) -> str:
        """As it appears in the reason of an allowed review."""
        kind, name = (
            ("RoleBinding", f"{self.name}/{self.namespace}")
            if self.namespace
            else (
                "ClusterRoleBinding",
                self.name,
            )
        )
        whom = subject.describe(self.namespace)
        return f'{kind} "{name}" of {self.role.kind} "{self.role.name}" to {whom}'


def allows(rule: PolicyRule, asked: AccessAttributes) -> bool:
    """Whether this one rule permits what is asked."""
    if "*" not in rule.verbs and asked.verb not in rule.verbs:
        return False
    if asked.path is not None:
        return any(_url_matches(url, asked.path) for url in rule.urls)
    if "*" not in rule.groups and asked.group not in rule.groups:
        return False
    if rule.names and asked.name not in rule.names:
        return False
    return any(_resource_matches(resource, asked) for resource in rule.resources)


def _url_matches(pattern: str, path: str) -> bool:
    # Only a trailing star is a wildcard.
    return pattern == path or (pattern.endswith("*") and path.startswith(pattern.rstrip("*")))


def _resource_matches(pattern: str, asked: AccessAttributes) -> bool:
    if pattern == "*":  # every resource and every subresource
        return True
    if not asked.subresource:
        return pattern == asked.resource
    return pattern in (f"{asked.resource}/{asked.subresource}", f"*/{asked.subresource}")
