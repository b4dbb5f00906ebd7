"""Nobody grants what they do not hold: the checks on writes of roles and bindings.

https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from workspace_authz.devplane.embedded.kinds import CLUSTER_ROLES, ROLES, Kind
from workspace_authz.devplane.embedded.objects import Object, name_of
from workspace_authz.devplane.embedded.policy import GROUP, AccessAttributes, PolicyRule, RoleRef
from workspace_authz.devplane.embedded.rbac import SUPERUSERS, RbacAuthorizer, aggregate
from workspace_authz.devplane.embedded.status import Target, forbidden, not_found, quoted
from workspace_authz.types import UserInfo

_EVERYTHING = (
    PolicyRule(verbs=("*",), groups=("*",), resources=("*",)),
    PolicyRule(verbs=("*",), urls=("*",)),
)


class EscalationGuard:
    """Refuses roles and bindings that would give their author's subjects more than the author holds."""

    def __init__(self, authorizer: RbacAuthorizer) -> None:
        self._authorizer = authorizer

    def check(self, kind: Kind, obj: Object, *, user: UserInfo, namespace: str, old: Object | None) -> None:
        """Pass, or raise a 403 (a 404 for a binding to a role that does not exist).

        ``namespace`` is that of the request, ``old`` the object before an update.
        """
        if kind.group != GROUP or SUPERUSERS in user.groups:
            return
        if old is not None and _without_owners(obj) == _without_owners(old):
            return
        if kind in (ROLES, CLUSTER_ROLES):
            self._check_role(kind, obj, user=user, namespace=namespace, old=old)
        else:
            self._check_binding(kind, obj, user=user, namespace=namespace)

    def _check_role(
        self, kind: Kind, obj: Object, *, user: UserInfo, namespace: str, old: Object | None
    ) -> None:
        # A create request names nothing in its path, so it needs the right on every name.
        name = name_of(obj) if old is not None else ""
        if self._holds(user, "escalate", resource=kind.resource, namespace=namespace, name=name):
            return
        target = kind.target(name_of(obj))
        self._confirm(_rules(obj), user=user, namespace=namespace, target=target)
        if _aggregates(obj) or (old is not None and _aggregates(old)):
            granted = self._authorizer.rules_for(user, "").rules
            if any(uncovered(granted, _EVERYTHING)):
                raise forbidden(target, "must have cluster-admin privileges to use the aggregationRule")

    def _check_binding(self, kind: Kind, obj: Object, *, user: UserInfo, namespace: str) -> None:
        reference = obj.get("roleRef") or {}
        role = RoleRef(reference.get("kind", ""), reference.get("name", ""))
        resource = ROLES.resource if role.kind == ROLES.kind else CLUSTER_ROLES.resource
        if self._holds(user, "bind", resource=resource, namespace=namespace, name=role.name):
            return
        rules = self._authorizer.rules_of(role, namespace)
        if rules is None:
            raise not_found(kind.target(role.name))  # kube-apiserver, too, names the binding's resource
        self._confirm(rules, user=user, namespace=namespace, target=kind.target(name_of(obj)))

    def _holds(self, user: UserInfo, verb: str, *, resource: str, namespace: str, name: str) -> bool:
        asked = AccessAttributes(verb, group=GROUP, resource=resource, namespace=namespace, name=name)
        return self._authorizer.authorize(user, asked).allowed

    def _confirm(
        self, rules: Iterable[PolicyRule], *, user: UserInfo, namespace: str, target: Target
    ) -> None:
        granted = self._authorizer.rules_for(user, namespace)
        missing = list(uncovered(granted.rules, rules))
        if not missing:
            return
        lines = sorted({_describe(rule) for rule in _merged(missing)})
        why = (
            f"user {quoted(user.username)} (groups={_quoted_list(user.groups)}) is attempting to grant RBAC "
            "permissions not currently held:\n" + "\n".join(lines)
        )
        if granted.missing:
            errors = aggregate(
                f"{target.qualified} {quoted(role.name)} not found" for role in granted.missing
            )
            why += f"; resolution errors: [{errors}]"
        raise forbidden(target, why)


def uncovered(granted: Sequence[PolicyRule], wanted: Iterable[PolicyRule]) -> Iterator[PolicyRule]:
    """The smallest parts of ``wanted`` that no single rule of ``granted`` includes."""
    for rule in wanted:
        for part in _parts(rule):
            if not any(_covers(own, part) for own in granted):
                yield part


def _parts(rule: PolicyRule) -> Iterator[PolicyRule]:
    for group in rule.groups:
        for resource in rule.resources:
            for verb in rule.verbs:
                part = PolicyRule((verb,), groups=(group,), resources=(resource,))
                if rule.names:
                    yield from (replace(part, names=(name,)) for name in rule.names)
                else:
                    yield part
    for url in rule.urls:
        for verb in rule.verbs:
            yield PolicyRule((verb,), urls=(url,))


def _covers(own: PolicyRule, part: PolicyRule) -> bool:
    """Whether ``own`` includes ``part``, which has one verb and one resource or URL."""
    if "*" not in own.verbs and part.verbs[0] not in own.verbs:
        return False
    if part.urls:
        return any(_covers_url(url, part.urls[0]) for url in own.urls)
    if "*" not in own.groups and part.groups[0] not in own.groups:
        return False
    if own.names and not (part.names and part.names[0] in own.names):
        return False
    return _covers_resource(own.resources, part.resources[0])


def _covers_resource(own: Sequence[str], resource: str) -> bool:
    if "*" in own or resource in own:
        return True
    _, slash, subresource = resource.partition("/")
    return bool(slash) and f"*/{subresource}" in own


def _covers_url(own: str, url: str) -> bool:
    return own == url or (own.endswith("*") and url.startswith(own.rstrip("*")))


def _merged(parts: Sequence[PolicyRule]) -> Sequence[PolicyRule]:
    """Parts that differ only by verb, as one rule."""
    verbs: dict[PolicyRule, tuple[str, ...]] = {}
    for part in parts:
        if part.urls:
            verbs[part] = part.verbs
            continue
        key = PolicyRule((), groups=part.groups, resources=part.resources, names=part.names)
        verbs[key] = verbs.get(key, ()) + part.verbs
    return [
        PolicyRule(each, groups=key.groups, resources=key.resources, names=key.names, urls=key.urls)
        for key, each in verbs.items()
    ]


def _describe(rule: PolicyRule) -> str:
    fields = (
        ("APIGroups", rule.groups),
        ("Resources", rule.resources),
        ("NonResourceURLs", rule.urls),
        ("ResourceNames", rule.names),
        ("Verbs", rule.verbs),
    )
    return "{" + ", ".join(f"{name}:{_quoted_list(values)}" for name, values in fields if values) + "}"


def _quoted_list(values: Iterable[str]) -> str:
    return f"[{' '.join(map(quoted, values))}]"


def _rules(role: Mapping[str, Any]) -> Sequence[PolicyRule]:
    return [PolicyRule.parse(rule) for rule in role.get("rules") or ()]


def _aggregates(role: Mapping[str, Any]) -> bool:
    return bool((role.get("aggregationRule") or {}).get("clusterRoleSelectors"))


def _without_owners(obj: Mapping[str, Any]) -> Object:
    """Without what a garbage collector changes, and what changes with every write."""
    ignored = ("ownerReferences", "finalizers", "resourceVersion")
    kept = {key: value for key, value in (obj.get("metadata") or {}).items() if key not in ignored}
    return {**obj, "metadata": kept}
