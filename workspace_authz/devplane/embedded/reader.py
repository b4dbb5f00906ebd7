"""Roles and bindings as RBAC reads them, straight from the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from workspace_authz.devplane.embedded.kinds import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES
from workspace_authz.devplane.embedded.objects import Object
from workspace_authz.devplane.embedded.policy import Binding, PolicyRule
from workspace_authz.devplane.embedded.store import Store


class StoreReader:
    """An :class:`~.rbac.Reader` over a :class:`~.store.Store`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def cluster_role_bindings(self) -> Iterator[Binding]:
        """All of them."""
        return map(Binding.parse, self._store.each(CLUSTER_ROLE_BINDINGS.resource))

    def role_bindings(self, namespace: str) -> Iterator[Binding]:
        """Those of one namespace."""
        return map(Binding.parse, self._store.each(ROLE_BINDINGS.resource, namespace))

    def role(self, namespace: str, name: str) -> Sequence[PolicyRule] | None:
        """The rules of a Role; None when there is no such Role."""
        return _rules(self._store.get(ROLES.resource, namespace, name))

    def cluster_role(self, name: str) -> Sequence[PolicyRule] | None:
        """The rules of a ClusterRole; None when there is no such ClusterRole."""
        return _rules(self._store.get(CLUSTER_ROLES.resource, "", name))


def _rules(role: Object | None) -> Sequence[PolicyRule] | None:
    if role is None:
        return None
    return [PolicyRule.parse(rule) for rule in role.get("rules") or ()]
