"""ClusterRoles as Kubernetes objects, and what MLflow calls a deletion under which verb."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from workspace_authz.catalog.model import Guarded, Route
from workspace_authz.roles.policy import (
    METRICS_ROLE,
    METRICS_URL,
    ROLES,
    SERVER_ROLE,
    SERVER_RULES,
    Right,
    Role,
)
from workspace_authz.types import API_GROUP, USE, Resource, Verb

Manifest = dict[str, Any]

_AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"
"""One label does: ``edit`` takes in ``view``, and ``admin`` ``edit`` (bootstrappolicy/policy.go)."""

_DESCRIPTION = "kubernetes.io/description"

_TAKES_AWAY = ("delete", "remove", "detach")


def cluster_roles() -> list[Manifest]:
    """Every ClusterRole of an installation, the same ones in the same order each time."""
    own = [_rule(group, resources, verbs) for group, resources, verbs in SERVER_RULES]
    server = _cluster_role(
        SERVER_ROLE, "For the server itself: follow namespaces and RBAC, nothing else.", own
    )
    scraping = [{"nonResourceURLs": [METRICS_URL], "verbs": [str(Verb.GET)]}]
    scraper = _cluster_role(
        METRICS_ROLE, "For Prometheus: read the metrics of MLflow, nothing else.", scraping
    )
    return [*(_from_policy(role) for role in ROLES), server, scraper]


def demanded(routes: Iterable[Route]) -> frozenset[Right]:
    """Every right that some guarded route demands."""
    return frozenset(right for _, policy in _guarded(routes) for right in _rights(policy))


def deletions(routes: Iterable[Route]) -> dict[Right, tuple[str, ...]]:
    """MLflow's operations that take something away, under the first right that they demand.

    Further rights are named in brackets. MLflow has no rule for such operations: they are those that its
    REST API calls with ``DELETE``, or names so.
    """
    found: dict[Right, set[str]] = {}
    for route, policy in _guarded(routes):
        if route.method == "DELETE" or any(word in route.operation.lower() for word in _TAKES_AWAY):
            first, *others = _rights(policy)
            also = f" (and {', '.join(f'`{right}`' for right in others)})" if others else ""
            found.setdefault(first, set()).add(route.operation + also)
    order = list(Resource)
    ranked = sorted(found, key=lambda right: (order.index(right.resource), right.verb))
    return {right: tuple(sorted(found[right])) for right in ranked}


def _guarded(routes: Iterable[Route]) -> Iterator[tuple[Route, Guarded]]:
    return ((route, route.policy) for route in routes if isinstance(route.policy, Guarded))


def _rights(policy: Guarded) -> list[Right]:
    return [Right(each.resource, each.subresource, each.verb) for each in policy.requirements]


def _from_policy(role: Role) -> Manifest:
    labels = {f"{_AGGREGATE}{role.aggregates_to}": "true"} if role.aggregates_to else {}
    return _cluster_role(role.name, role.description, _rules(role.rights), labels)


def _rules(rights: frozenset[Right]) -> list[Manifest]:
    """One rule for all resources with the same verbs, in the order of :class:`Resource`."""
    by_verbs: dict[tuple[Verb, ...], list[str]] = {}
    for subresource in ("", USE):
        for resource in Resource:
            verbs = tuple(verb for verb in Verb if Right(resource, subresource, verb) in rights)
            if verbs:
                target = f"{resource}/{subresource}" if subresource else str(resource)
                by_verbs.setdefault(verbs, []).append(target)
    return [_rule(API_GROUP, resources, verbs) for verbs, resources in by_verbs.items()]


def _rule(group: str, resources: Iterable[str], verbs: Iterable[str]) -> Manifest:
    return {"apiGroups": [group], "resources": [*resources], "verbs": [str(verb) for verb in verbs]}


def _cluster_role(
    name: str, description: str, rules: list[Manifest], labels: dict[str, str] | None = None
) -> Manifest:
    metadata: Manifest = {"name": name, "annotations": {_DESCRIPTION: description}}
    if labels:
        metadata["labels"] = labels
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": metadata,
        "rules": rules,
    }
