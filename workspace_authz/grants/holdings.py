"""Who holds what in a namespace, read from RBAC in memory. For people to see; it decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.authorizer.rbac.objects import Binding, Role
from workspace_authz.authorizer.rules import covers
from workspace_authz.grants.subjects import Subject, SubjectKind, group_subject, user_subject
from workspace_authz.types import Attributes


@dataclass(frozen=True, slots=True)
class Holding:
    """What one binding gives to one subject."""

    subject: Subject
    binding_namespace: str
    """Empty for a ClusterRoleBinding, which counts in all namespaces."""
    binding: str
    role_namespace: str
    """Empty for a ClusterRole."""
    role_name: str
    role: Role
    managed: bool
    """Whether the binding was made by this software, and may be deleted by it."""

    @property
    def is_direct(self) -> bool:
        """Whether a Role and a binding of one name were made for this subject alone."""
        in_namespace = bool(self.binding_namespace) and self.role_namespace == self.binding_namespace
        return self.managed and in_namespace and self.binding == self.role_name

    @property
    def source(self) -> str:
        """Where it comes from, in words."""
        binding = "RoleBinding" if self.binding_namespace else "ClusterRoleBinding"
        kind = "Role" if self.role_namespace else "ClusterRole"
        aggregated = ", aggregated" if self.role.aggregated else ""
        return f"{binding} {self.binding} to {kind} {self.role_name}{aggregated}"


def holdings_in(index: RbacIndex, namespace: str) -> Iterator[Holding]:
    """What the bindings of ``namespace`` give; without a namespace what ClusterRoleBindings give."""
    for name, binding, role in index.bindings_in(namespace):
        if role.witness is None:
            continue
        role_namespace, role_name = binding.role_key(namespace)
        for subject in subjects_of(binding):
            yield Holding(subject, namespace, name, role_namespace, role_name, role, binding.managed)


def holdings_of(index: RbacIndex, subject: Subject) -> Iterator[Holding]:
    """What all bindings that name ``subject`` give, in whatever namespace."""
    named = (
        index.bindings_of_group(subject.name)
        if subject.kind is SubjectKind.GROUP
        else index.bindings_of_user(subject.username)
    )
    for (namespace, name), binding, role in named:
        if role.witness is not None:
            role_namespace, role_name = binding.role_key(namespace)
            yield Holding(subject, namespace, name, role_namespace, role_name, role, binding.managed)


def allows(role: Role, asked: Attributes) -> bool:
    """Whether ``role`` says yes; without a name on all objects."""
    return any(covers(rule, asked) and (not rule.names or asked.name in rule.names) for rule in role.rules)


def subjects_of(binding: Binding) -> Iterator[Subject]:
    """Whom a binding names."""
    yield from map(user_subject, binding.users)
    yield from map(group_subject, binding.groups)
