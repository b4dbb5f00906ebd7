"""What a list of rules says about MLflow, matched as Kubernetes' RBAC authorizer matches rules.

See ``VerbMatches``, ``APIGroupMatches`` and ``ResourceMatches`` in
``k8s.io/component-helpers/auth/rbac/validation`` and ``pkg/apis/rbac/v1/evaluation_helpers.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from workspace_authz.kubernetes.reviews import ResourceRule
from workspace_authz.types import API_GROUP, USABLE, USE, Attributes, Resource, Verb

_RESOURCES: Final = frozenset(str(resource) for resource in Resource)
_USES: Final = frozenset(f"{resource}/{USE}" for resource in USABLE)
_VERBS: Final = frozenset(str(verb) for verb in Verb)

_OUR_GROUP: Final = frozenset({API_GROUP})
_ANY_VERB: Final = _VERBS | {"*"}
_ANY_RESOURCE: Final = _RESOURCES | _USES | {"*", f"*/{USE}"}


def mlflow_rules(rules: Iterable[ResourceRule]) -> tuple[ResourceRule, ...]:
    """Those that grant some MLflow right: few among the many that a caller holds."""
    return tuple(filter(_grants, rules))


def granted_names(rules: Iterable[ResourceRule], broad: Attributes) -> frozenset[str]:
    """The ``resourceNames`` of the rules that grant ``broad`` on single objects only."""
    return frozenset(name for rule in rules if covers(rule, broad) for name in rule.names)


def every_question(namespace: str) -> Iterator[Attributes]:
    """Every broad right there is, the usual ones first."""
    for verb in (Verb.LIST, Verb.GET, Verb.CREATE, Verb.UPDATE, Verb.DELETE):
        for resource in Resource:
            yield Attributes(namespace, verb, resource)
    for resource in sorted(USABLE):
        yield Attributes(namespace, Verb.CREATE, resource, USE)


def witness(rules: Iterable[ResourceRule]) -> Attributes | None:
    """One right that whoever is bound to ``rules`` holds, best on all objects; None when there is none.

    The namespace is left empty.
    """
    broad_first = sorted(rules, key=lambda rule: bool(rule.names))
    for rule in broad_first:
        for question in every_question(""):
            if covers(rule, question):
                return replace(question, name=min(rule.names, default=""))
    return None


def narrowed(rule: ResourceRule) -> ResourceRule:
    """What ``rule`` says about MLflow: no other change of it matters here."""
    return ResourceRule(
        verbs=rule.verbs & _ANY_VERB,
        groups=_OUR_GROUP,
        resources=rule.resources & _ANY_RESOURCE,
        names=rule.names,
    )


def covers(rule: ResourceRule, asked: Attributes) -> bool:
    """Whether ``rule`` grants ``asked``, whatever names it is limited to."""
    matching = {asked.qualified_resource, "*", *([f"*/{asked.subresource}"] if asked.subresource else [])}
    return bool(
        rule.groups & {API_GROUP, "*"} and rule.verbs & {str(asked.verb), "*"} and rule.resources & matching
    )


def _grants(rule: ResourceRule) -> bool:
    if not rule.groups & {API_GROUP, "*"}:
        return False
    if rule.verbs & {*_VERBS, "*"} and (rule.resources & _RESOURCES or "*" in rule.resources):
        return True
    uses = rule.resources & _USES or f"*/{USE}" in rule.resources
    return bool(uses and rule.verbs & {str(Verb.CREATE), "*"})
