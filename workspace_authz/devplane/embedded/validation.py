"""What makes an object invalid, by kind. The wording follows kube-apiserver 1.36, not to the letter."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from workspace_authz.devplane.embedded import kinds
from workspace_authz.devplane.embedded.kinds import Kind
from workspace_authz.devplane.embedded.objects import Object, metadata, name_of
from workspace_authz.devplane.embedded.rbac import GROUP as RBAC
from workspace_authz.devplane.embedded.status import (
    FieldProblem,
    invalid,
    invalid_value,
    required_value,
    too_long,
    unsupported_value,
)

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_LABEL_WORDS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SUBDOMAIN_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_ALPHANUMERIC = (
    "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
_KEY_WORDS = (
    f"must consist of {_ALPHANUMERIC} (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE_WORDS = (
    f"a valid label must be an empty string or consist of {_ALPHANUMERIC} (e.g. 'MyValue',  or 'my_value',  "
    "or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_DATA_WORDS = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
    "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_STANDARD_FINALIZERS = frozenset(("kubernetes", "orphan", "foregroundDeletion"))
_ANNOTATIONS_LIMIT = 256 * 1024
_SECRET_LIMIT = 1024 * 1024

_GO_NAMES = {"apiGroup": "APIGroup", "kind": "Kind", "name": "Name"}

Problems = Iterator[FieldProblem]


def check(kind: Kind, obj: Object, *, old: Object | None = None) -> None:
    """Raise a 422 when ``obj`` may not be stored; ``old`` is what an update would replace."""
    problems = [*_metadata(kind, obj), *_RULES.get(kind.resource, _nothing)(obj)]
    if old is not None:
        problems += _update(kind, obj, old)
    if problems:
        raise invalid(kind.target(name_of(obj)), problems)


def name_problem(kind: Kind, name: str) -> str:
    """Why ``name`` cannot name an object of this kind; empty when it can."""
    if kind.group == RBAC:
        return _path_segment_problem(name)
    if kind is kinds.NAMESPACES:
        return _dns_problem(name, _LABEL, _LABEL_WORDS, limit=63)
    return _dns_problem(name, _SUBDOMAIN, _SUBDOMAIN_WORDS, limit=253)


def _path_segment_problem(name: str) -> str:
    if name in (".", ".."):
        return f"may not be '{name}'"
    for character in "/%":
        if character in name:
            return f"may not contain '{character}'"
    return ""


def _dns_problem(name: str, pattern: re.Pattern[str], words: str, *, limit: int) -> str:
    if len(name) > limit:
        return f"must be no more than {limit} characters"
    return "" if pattern.fullmatch(name) else words


def _metadata(kind: Kind, obj: Object) -> Problems:
    fields = metadata(obj)
    if not (name := name_of(obj)):
        yield required_value("metadata.name", "name or generateName is required")
    elif problem := name_problem(kind, name):
        yield invalid_value("metadata.name", name, problem)
    for key, value in (fields.get("labels") or {}).items():
        yield from _label(key, value)
    annotations = fields.get("annotations") or {}
    for key in annotations:
        yield from _qualified_name("metadata.annotations", key.lower())
    if (
        sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
        > _ANNOTATIONS_LIMIT
    ):
        yield too_long("metadata.annotations", _ANNOTATIONS_LIMIT)
    for index, finalizer in enumerate(fields.get("finalizers") or ()):
        yield from _qualified_name("metadata.finalizers", finalizer)
        if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            yield invalid_value(f"metadata.finalizers[{index}]", finalizer, why)


def _label(key: str, value: str) -> Problems:
    yield from _qualified_name("metadata.labels", key)
    if len(value) > 63:
        yield invalid_value("metadata.labels", value, "must be no more than 63 bytes")
    elif value and not _QUALIFIED.fullmatch(value):
        yield invalid_value("metadata.labels", value, _VALUE_WORDS)


def _qualified_name(field: str, key: str) -> Problems:
    if key.count("/") > 1:
        with_prefix = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        yield invalid_value(field, key, f"a valid label key {_KEY_WORDS} {with_prefix}")
        return
    prefix, slash, name = key.rpartition("/")
    if slash and (problem := _dns_problem(prefix, _SUBDOMAIN, _SUBDOMAIN_WORDS, limit=253)):
        yield invalid_value(field, key, f"prefix part {problem}")
    if len(name) > 63:
        yield invalid_value(field, key, "name part must be no more than 63 bytes")
    elif not _QUALIFIED.fullmatch(name):
        yield invalid_value(field, key, f"name part {_KEY_WORDS}")


def _update(kind: Kind, obj: Object, old: Object) -> Problems:
    if kind in (kinds.ROLE_BINDINGS, kinds.CLUSTER_ROLE_BINDINGS) and obj["roleRef"] != old["roleRef"]:
        shown = {_GO_NAMES[key]: value for key, value in obj["roleRef"].items()}
        yield invalid_value("roleRef", shown, "cannot change roleRef")
    if kind is kinds.SECRETS:
        if obj["type"] != old["type"]:
            yield invalid_value("type", obj["type"], "field is immutable")
        why = "Forbidden: field is immutable when `immutable` is set"
        if old.get("immutable") and not obj.get("immutable"):
            yield FieldProblem("immutable", "FieldValueForbidden", why)
        if old.get("immutable") and obj.get("data") != old.get("data"):
            yield FieldProblem("data", "FieldValueForbidden", why)


def _role(role: Mapping[str, Any]) -> Problems:
    for index, rule in enumerate(role.get("rules") or ()):
        yield from _rule(rule, f"rules[{index}]", namespaced=True)


def _cluster_role(role: Mapping[str, Any]) -> Problems:
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
        yield invalid_value(f"{field}.operator", operator, "not a valid selector operator")


def _rule(rule: Mapping[str, Any], field: str, *, namespaced: bool) -> Problems:
    if not rule.get("verbs"):
        yield required_value(f"{field}.verbs", "verbs must contain at least one value")
    if urls := rule.get("nonResourceURLs"):
        where = f"{field}.nonResourceURLs"
        if namespaced:
            yield invalid_value(where, urls, "namespaced rules cannot apply to non-resource URLs")
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            why = "rules cannot apply to both regular resources and non-resource URLs"
            yield invalid_value(where, urls, why)
        return
    if not rule.get("apiGroups"):
        yield required_value(f"{field}.apiGroups", "resource rules must supply at least one api group")
    if not rule.get("resources"):
        yield required_value(f"{field}.resources", "resource rules must supply at least one resource")


def _role_binding(binding: Mapping[str, Any]) -> Problems:
    return _binding(binding, roles=("Role", "ClusterRole"), namespaced=True)


def _cluster_role_binding(binding: Mapping[str, Any]) -> Problems:
    return _binding(binding, roles=("ClusterRole",), namespaced=False)


def _binding(binding: Mapping[str, Any], *, roles: Sequence[str], namespaced: bool) -> Problems:
    role = binding.get("roleRef") or {}
    if (group := role.get("apiGroup")) != RBAC:
        yield unsupported_value("roleRef.apiGroup", group, (RBAC,))
    if (kind := role.get("kind", "")) not in roles:
        yield unsupported_value("roleRef.kind", kind, roles)
    if not (name := role.get("name")):
        yield required_value("roleRef.name")
    elif problem := _path_segment_problem(name):
        yield invalid_value("roleRef.name", name, problem)
    for index, subject in enumerate(binding.get("subjects") or ()):
        yield from _subject(subject, f"subjects[{index}]", namespaced=namespaced)


def _subject(subject: Mapping[str, Any], field: str, *, namespaced: bool) -> Problems:
    if not (name := subject.get("name")):
        yield required_value(f"{field}.name")
    kind, group = subject.get("kind", ""), subject.get("apiGroup", "")
    if kind == "ServiceAccount":
        if name and (problem := _dns_problem(name, _SUBDOMAIN, _SUBDOMAIN_WORDS, limit=253)):
            yield invalid_value(f"{field}.name", name, problem)
        if group:
            yield unsupported_value(f"{field}.apiGroup", group, ("",))
        if not namespaced and not subject.get("namespace"):
            yield required_value(f"{field}.namespace")
    elif kind in ("User", "Group"):
        if group != RBAC:
            yield unsupported_value(f"{field}.apiGroup", group, (RBAC,))
    else:
        yield unsupported_value(f"{field}.kind", kind, ("ServiceAccount", "User", "Group"))


def _secret(secret: Mapping[str, Any]) -> Problems:
    size = 0
    for key, value in (secret.get("data") or {}).items():
        if not re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", key) or key in (".", ".."):
            yield invalid_value(f"data[{key}]", key, _DATA_WORDS)
        try:
            size += len(base64.b64decode(value, validate=True))
        except binascii.Error:
            # Without the value: it is a secret, even when it is malformed.
            yield FieldProblem(f"data[{key}]", "FieldValueInvalid", "Invalid value: illegal base64 data")
    if size > _SECRET_LIMIT:
        yield too_long("data", _SECRET_LIMIT)


def _nothing(_: Mapping[str, Any]) -> Problems:
    return iter(())


_RULES: Mapping[str, Callable[[Mapping[str, Any]], Problems]] = {
    kinds.ROLES.resource: _role,
    kinds.CLUSTER_ROLES.resource: _cluster_role,
    kinds.ROLE_BINDINGS.resource: _role_binding,
    kinds.CLUSTER_ROLE_BINDINGS.resource: _cluster_role_binding,
    kinds.SECRETS.resource: _secret,
}
