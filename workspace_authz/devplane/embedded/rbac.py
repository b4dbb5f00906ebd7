"""Role-based access control, evaluated in its plainest form: every binding, every rule, in turn.

Nothing is indexed or cached, so that it can be checked by reading. Semantics:
https://kubernetes.io/docs/reference/access-authn-authz/rbac/ and, where that is silent, the observed
behaviour of kube-apiserver 1.36. It knows no HTTP and no store, only what a :class:`Reader` shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from workspace_authz.devplane.embedded.objects import name_of, namespace_of
from workspace_authz.types import UserInfo

GROUP = "rbac.authorization.k8s.io"
SUPERUSERS = "system:masters"
"""Members may do everything, whatever the roles say."""


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


class Reader(Protocol):
    """Where roles and bindings are read."""

    def cluster_role_bindings(self) -> Iterable[Binding]:
        """All of them."""

    def role_bindings(self, namespace: str) -> Iterable[Binding]:
        """Those of one namespace."""

    def role(self, namespace: str, name: str) -> Sequence[PolicyRule] | None:
        """The rules of a Role; None when there is no such Role."""

    def cluster_role(self, name: str) -> Sequence[PolicyRule] | None:
        """The rules of a ClusterRole; None when there is no such ClusterRole."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an authorizer says. Not allowed means no opinion: RBAC never denies outright."""

    allowed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """What somebody holds, and the roles that their bindings name in vain."""

    rules: tuple[PolicyRule, ...]
    missing: tuple[RoleRef, ...]


class RbacAuthorizer:
    """Answers from the roles and bindings of ``reader``."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def authorize(self, user: UserInfo, attributes: AccessAttributes) -> Answer:
        """May ``user`` do this?"""
        if SUPERUSERS in user.groups:
            return Answer(allowed=True)
        errors: list[str] = []
        for binding, subject in self._bindings(user, attributes.namespace):
            rules = self.rules_of(binding.role, binding.namespace)
            if rules is None:
                errors.append(missing_role(binding.role))
            elif any(allows(rule, attributes) for rule in rules):
                return Answer(allowed=True, reason=f"RBAC: allowed by {binding.describe(subject)}")
        return Answer(allowed=False, reason=f"RBAC: {aggregate(errors)}" if errors else "")

    def rules_for(self, user: UserInfo, namespace: str) -> Rules:
        """Every rule that holds for ``user`` in ``namespace``, cluster-wide ones first."""
        rules: list[PolicyRule] = []
        missing: list[RoleRef] = []
        for binding, _ in self._bindings(user, namespace):
            granted = self.rules_of(binding.role, binding.namespace)
            if granted is None:
                missing.append(binding.role)
            else:
                rules += granted
        return Rules(tuple(rules), tuple(missing))

    def rules_of(self, role: RoleRef, namespace: str) -> Sequence[PolicyRule] | None:
        """What a binding in ``namespace`` to ``role`` grants; None when the role does not exist."""
        if role.kind == "Role":
            return self._reader.role(namespace, role.name)
        return self._reader.cluster_role(role.name)

    def _bindings(self, user: UserInfo, namespace: str) -> Iterator[tuple[Binding, Subject]]:
        for binding in self._reader.cluster_role_bindings():
            if (subject := binding.subject_for(user)) is not None:
                yield binding, subject
        if not namespace:
            return
        for binding in self._reader.role_bindings(namespace):
            if (subject := binding.subject_for(user)) is not None:
                yield binding, subject


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


def missing_role(role: RoleRef) -> str:
    """What the API server says about a binding to a role that does not exist."""
    if role.kind in ("Role", "ClusterRole"):
        return f'{role.kind.lower()}.{GROUP} "{role.name}" not found'
    return f'unsupported role reference kind: "{role.kind}"'


def aggregate(errors: Iterable[str]) -> str:
    """Several messages as one, each once."""
    distinct = list(dict.fromkeys(errors))
    return distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]"


def _url_matches(pattern: str, path: str) -> bool:
    # Only a trailing star is a wildcard.
    return pattern == path or (pattern.endswith("*") and path.startswith(pattern.rstrip("*")))


def _resource_matches(pattern: str, asked: AccessAttributes) -> bool:
    if pattern == "*":  # every resource and every subresource
        return True
    if not asked.subresource:
        return pattern == asked.resource
    return pattern in (f"{asked.resource}/{asked.subresource}", f"*/{asked.subresource}")
