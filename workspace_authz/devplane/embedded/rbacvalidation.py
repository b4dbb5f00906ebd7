"""What makes a role or a binding invalid. The wording follows kube-apiserver 1.36."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workspace_authz.devplane.embedded.names import path_segment_problem, subdomain_problem
from workspace_authz.devplane.embedded.policy import GROUP as RBAC
from workspace_authz.devplane.embedded.status import (
    FieldProblem,
    invalid_value,
    required_value,
    unsupported_value,
)

Problems = Iterator[FieldProblem]


def role_problems(role: Mapping[str, Any]) -> Problems:
    """A Role."""
    for index, rule in enumerate(role.get("rules") or ()):
        yield from _rule(rule, f"rules[{index}]", namespaced=True)


def cluster_role_problems(role: Mapping[str, Any]) -> Problems:
    """A ClusterRole."""
    for index, rule in enumerate(role.get("rules") or ()):
        yield from _rule(rule, f"rules[{index}]", namespaced=False)
    aggregation = role.get("aggregationRule")
    if aggregation is not None and not aggregation.get("clusterRoleSelectors"):
        yield required_value(
            "aggregationRule.clusterRoleSelectors",
            "at least one clusterRoleSelector required if aggregationRule is non-nil",
        )
    for index, selector in enumerate((aggregation or {}).get("clusterRoleSelectors") or ()):
        field = f"aggregationRule.clusterRoleSelectors[{index}]"
        for at, expression in enumerate(selector.get("matchExpressions") or ()):
            yield from _expression(expression, f"{field}.matchExpressions[{at}]")


def _expression(expression: Mapping[str, Any], field: str) -> Problems:
    operator, values = expression.get("operator"), expression.get("values") or ()
    if operator in ("In", "NotIn") and not values:
        yield required_value(f"{field}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist") and values:
        why = "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        yield FieldProblem(f"{field}.values", "FieldValueForbidden", why)
    elif operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
        yield invalid_value(f"{field}.operator", operator, why="not a valid selector operator")


def _rule(rule: Mapping[str, Any], field: str, *, namespaced: bool) -> Problems:
    if not rule.get("verbs"):
        yield required_value(f"{field}.verbs", "verbs must contain at least one value")
    if urls := rule.get("nonResourceURLs"):
        where = f"{field}.nonResourceURLs"
        if namespaced:
            yield invalid_value(where, urls, why="namespaced rules cannot apply to non-resource URLs")
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            why = "rules cannot apply to both regular resources and non-resource URLs"
            yield invalid_value(where, urls, why=why)
        return
    if not rule.get("apiGroups"):
        yield required_value(f"{field}.apiGroups", "resource rules must supply at least one api group")
    if not rule.get("resources"):
        yield required_value(f"{field}.resources", "resource rules must supply at least one resource")


def role_binding_problems(binding: Mapping[str, Any]) -> Problems:
    """A RoleBinding."""
    return _binding(binding, roles=("Role", "ClusterRole"), namespaced=True)


def cluster_role_binding_problems(binding: Mapping[str, Any]) -> Problems:
    """A ClusterRoleBinding."""
    return _binding(binding, roles=("ClusterRole",), namespaced=False)


def _binding(binding: Mapping[str, Any], *, roles: Sequence[str], namespaced: bool) -> Problems:
    role = binding.get("roleRef") or {}
    if (group := role.get("apiGroup")) != RBAC:
        yield unsupported_value("roleRef.apiGroup", group, supported=(RBAC,))
    if (kind := role.get("kind", "")) not in roles:
        yield unsupported_value("roleRef.kind", kind, supported=roles)
    if not (name := role.get("name")):
        yield required_value("roleRef.name")
    elif problem := path_segment_problem(name):
        yield invalid_value("roleRef.name", name, why=problem)
    for index, subject in enumerate(binding.get("subjects") or ()):
        yield from _subject(subject, f"subjects[{index}]", namespaced=namespaced)


def _subject(subject: Mapping[str, Any], field: str, *, namespaced: bool) -> Problems:
    if not (name := subject.get("name")):
        yield required_value(f"{field}.name")
    kind, group = subject.get("kind", ""), subject.get("apiGroup", "")
    if kind == "ServiceAccount":
        if name and (problem := subdomain_problem(name)):
            yield invalid_value(f"{field}.name", name, why=problem)
        if group:
            yield unsupported_value(f"{field}.apiGroup", group, supported=("",))
        if not namespaced and not subject.get("namespace"):
            yield required_value(f"{field}.namespace")
    elif kind in ("User", "Group"):
        if group != RBAC:
            yield unsupported_value(f"{field}.apiGroup", group, supported=(RBAC,))
    else:
        yield unsupported_value(f"{field}.kind", kind, supported=("ServiceAccount", "User", "Group"))
