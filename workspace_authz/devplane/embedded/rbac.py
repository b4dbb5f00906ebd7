"""Role-based access control, evaluated in its plainest form: every binding, every rule, in turn.

Nothing is indexed or cached, so that it can be checked by reading. Semantics:
https://kubernetes.io/docs/reference/access-authn-authz/rbac/ and, where that is silent, the observed
behaviour of kube-apiserver 1.36. It knows no HTTP and no store, only what a :class:`Reader` shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from workspace_authz.devplane.embedded.policy import (
    GROUP,
    AccessAttributes,
    Binding,
    PolicyRule,
    RoleRef,
    Subject,
    allows,
)
from workspace_authz.types import UserInfo

SUPERUSERS = "system:masters"
"""Members may do everything, whatever the roles say."""


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


def missing_role(role: RoleRef) -> str:
    """What the API server says about a binding to a role that does not exist."""
    if role.kind in ("Role", "ClusterRole"):
        return f'{role.kind.lower()}.{GROUP} "{role.name}" not found'
    return f'unsupported role reference kind: "{role.kind}"'


def aggregate(errors: Iterable[str]) -> str:
    """Several messages as one, each once."""
    distinct = list(dict.fromkeys(errors))
    return distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]"
