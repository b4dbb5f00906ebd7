"""Whether a list of rules holds any MLflow right, matched as Kubernetes' RBAC authorizer matches rules.

See ``VerbMatches``, ``APIGroupMatches`` and ``ResourceMatches`` in
``k8s.io/component-helpers/auth/rbac/validation`` and ``pkg/apis/rbac/v1/evaluation_helpers.go``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from workspace_authz.kubernetes.reviews import ResourceRule
from workspace_authz.types import API_GROUP, USABLE, USE, Resource, Verb

_PLAIN: Final = frozenset(str(resource) for resource in Resource)
_USES: Final = frozenset(f"{resource}/{USE}" for resource in USABLE)
_VERBS: Final = frozenset(str(verb) for verb in Verb)


def any_mlflow_right(rules: Iterable[ResourceRule]) -> bool:
    """True when one rule grants at least one of our verbs on at least one of our resources, named or not."""
    return any(map(_grants, rules))


def _grants(rule: ResourceRule) -> bool:
    if not rule.groups & {API_GROUP, "*"}:
        return False
    if rule.verbs & {*_VERBS, "*"} and (rule.resources & _PLAIN or "*" in rule.resources):
        return True
    uses = rule.resources & _USES or f"*/{USE}" in rule.resources
    return bool(uses and rule.verbs & {str(Verb.CREATE), "*"})
