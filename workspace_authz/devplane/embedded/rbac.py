"""Role-based access control, evaluated in the simplest way: every RoleBinding, every rule, in turn.

Nothing is indexed or cached, so that it can be checked by reading. Semantics:
https://kubernetes.io/docs/reference/access-authn-authz/rbac/ and, where that is silent, the observed
behaviour of kube-apiserver 1.36.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from workspace_authz.devplane.embedded.kinds import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES
from workspace_authz.devplane.embedded.policy import (
    GROUP,
    AccessAttributes,
    Binding,
    PolicyRule,
    RoleRef,
    Subject,
    allows,
)
from workspace_authz.devplane.embedded.store import Store
from workspace_authz.types import UserInfo

SUPERUSERS = "system:masters"
"""Members may do everything, whatever the roles say."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an authorizer says. Not allowed means no opinion: RBAC never denies outright."""

    allowed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that a user holds, and the roles named by their RoleBindings that do not exist."""

    rules: tuple[PolicyRule, ...]
    missing: tuple[RoleRef, ...]


class RbacAuthorizer:
    """Answers from the roles and bindings in ``store``."""

    def __init__(self, store: Store) -> None:
        self._store = store

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
        kind, scope = (ROLES, namespace) if role.kind == ROLES.kind else (CLUSTER_ROLES, "")
        found = self._store.get(kind.resource, scope, name=role.name)
        return None if found is None else [PolicyRule.parse(rule) for rule in found.get("rules") or ()]

    def _bindings(self, user: UserInfo, namespace: str) -> Iterator[tuple[Binding, Subject]]:
        found = self._store.each(CLUSTER_ROLE_BINDINGS.resource)
        if namespace:
            found = chain(found, self._store.each(ROLE_BINDINGS.resource, namespace))
        for binding in map(Binding.parse, found):
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
