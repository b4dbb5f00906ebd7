"""Aggregated ClusterRoles: their rules are the union of the rules of those they select."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workspace_authz.devplane.embedded.kinds import CLUSTER_ROLES
from workspace_authz.devplane.embedded.objects import Object, labels_of, name_of
from workspace_authz.devplane.embedded.selectors import matches
from workspace_authz.devplane.embedded.store import Store


def aggregate_cluster_roles(store: Store) -> None:
    """Bring every aggregated ClusterRole up to date, also where one aggregates another."""
    names = [name_of(role) for role in store.list(CLUSTER_ROLES.resource) if _selectors(role)]
    for _ in names:  # a chain of n roles needs n rounds; roles that select each other get no more
        changes = [_update(store, name) for name in names]
        if not any(changes):
            return


def _update(store: Store, name: str) -> bool:
    roles = store.list(CLUSTER_ROLES.resource)
    role = next(role for role in roles if name_of(role) == name)
    rules = _union(role, _selectors(role), roles=roles)
    if rules == (role.get("rules") or []):
        return False
    store.put(CLUSTER_ROLES.resource, {**role, "rules": rules})
    return True


def _selectors(role: Object) -> Sequence[Mapping[str, Any]]:
    return (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()


def _union(role: Object, selectors: Sequence[Mapping[str, Any]], *, roles: Sequence[Object]) -> list[Any]:
    rules: list[Any] = []
    for selector in selectors:
        for other in roles:
            if name_of(other) != name_of(role) and matches(selector, labels_of(other)):
                rules += [rule for rule in other.get("rules") or () if rule not in rules]
    return rules
