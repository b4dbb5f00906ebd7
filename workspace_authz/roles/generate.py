"""ClusterRoles as Kubernetes objects, and MLflow's deleting operations by required right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from workspace_authz.catalog.model import Guarded, Route
from workspace_authz.roles.policy import (
    METRICS_ROLE,
    METRICS_URL,
    ROLES,
    SERVER_REVIEWS,
    SERVER_REVIEWS_ROLE,
    SERVER_ROLE,
    SERVER_RULES,
    Right,
    Role,
)
from workspace_authz.types import API_GROUP, USE, Resource, Verb

Manifest = dict[str, Any]

_AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"
"""One label is enough: ``admin`` includes ``edit``, which includes ``view`` (bootstrappolicy/policy.go)."""

_DESCRIPTION = "kubernetes.io/description"

_DELETING = ("delete", "remove", "detach")


def cluster_roles() -> list[Manifest]:
    """Every ClusterRole of an installation, in a fixed order."""
    own = [_rule(group, resources, verbs=verbs) for group, resources, verbs in SERVER_RULES]
    server = _cluster_role(
        SERVER_ROLE, "For the server itself: follow namespaces and RBAC, nothing else.", rules=own
    )
    reviewing = _cluster_role(
        SERVER_REVIEWS_ROLE,
        "For the server itself, where it accepts tokens for an audience of its own: whose they are, and what "
        "their owners may do.",
        rules=[_rule(group, resources, verbs=verbs) for group, resources, verbs in SERVER_REVIEWS],
    )
    scraping = [{"nonResourceURLs": [METRICS_URL], "verbs": [str(Verb.GET)]}]
    scraper = _cluster_role(
        METRICS_ROLE, "For Prometheus: read the metrics of MLflow, nothing else.", rules=scraping
    )
    return [*(_from_policy(role) for role in ROLES), server, reviewing, scraper]


def required_rights(routes: Iterable[Route]) -> frozenset[Right]:
    """Every right that some guarded route requires."""
    return frozenset(right for _, policy in _guarded(routes) for right in _rights(policy))


def deletions(routes: Iterable[Route]) -> dict[Right, tuple[str, ...]]:
    """MLflow's operations that delete something, by the first right that they require.

    Further rights are in brackets. MLflow does not mark such operations: they are those with the HTTP method
    ``DELETE``, and those whose name says so.
    """
    found: dict[Right, set[str]] = {}
    for route, policy in _guarded(routes):
        if route.method == "DELETE" or any(word in route.operation.lower() for word in _DELETING):
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
    return _cluster_role(role.name, role.description, rules=_rules(role.rights), labels=labels)


def _rules(rights: frozenset[Right]) -> list[Manifest]:
    """One rule for all resources with the same verbs, in the order of :class:`Resource`."""
    by_verbs: dict[tuple[Verb, ...], list[str]] = {}
    for subresource in ("", USE):
        for resource in Resource:
            verbs = tuple(verb for verb in Verb if Right(resource, subresource, verb) in rights)
            if verbs:
                target = f"{resource}/{subresource}" if subresource else str(resource)
                by_verbs.setdefault(verbs, []).append(target)
    return [_rule(API_GROUP, resources, verbs=verbs) for verbs, resources in by_verbs.items()]


def _rule(group: str, resources: Iterable[str], *, verbs: Iterable[str]) -> Manifest:
    return {"apiGroups": [group], "resources": [*resources], "verbs": [str(verb) for verb in verbs]}


def _cluster_role(
    name: str, description: str, *, rules: list[Manifest], labels: dict[str, str] | None = None
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
