"""What makes an object invalid, by kind. The wording follows kube-apiserver 1.36, not to the letter."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from workspace_authz.devplane.embedded import kinds
from workspace_authz.devplane.embedded.kinds import Kind
from workspace_authz.devplane.embedded.names import (
    label_name_problem,
    label_problems,
    path_segment_problem,
    qualified_name_problems,
    subdomain_problem,
)
from workspace_authz.devplane.embedded.objects import Object, metadata, name_of
from workspace_authz.devplane.embedded.policy import GROUP as RBAC
from workspace_authz.devplane.embedded.rbacvalidation import (
    cluster_role_binding_problems,
    cluster_role_problems,
    role_binding_problems,
    role_problems,
)
from workspace_authz.devplane.embedded.status import (
    FieldProblem,
    invalid,
    invalid_value,
    required_value,
    too_long,
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


def _name_problem(kind: Kind, name: str) -> str:
    """Why ``name`` cannot name an object of this kind; empty when it can."""
    if kind.group == RBAC:
        return path_segment_problem(name)
    if kind is kinds.NAMESPACES:
        return label_name_problem(name)
    return subdomain_problem(name)


def _metadata(kind: Kind, obj: Object) -> Problems:
    fields = metadata(obj)
    if not (name := name_of(obj)):
        yield required_value("metadata.name", "name or generateName is required")
    elif problem := _name_problem(kind, name):
        yield invalid_value("metadata.name", name, problem)
    for key, value in (fields.get("labels") or {}).items():
        yield from label_problems(key, value)
    annotations = fields.get("annotations") or {}
    for key in annotations:
        yield from qualified_name_problems("metadata.annotations", key.lower())
    if (
        sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
        > _ANNOTATIONS_LIMIT
    ):
        yield too_long("metadata.annotations", _ANNOTATIONS_LIMIT)
    for index, finalizer in enumerate(fields.get("finalizers") or ()):
        yield from qualified_name_problems("metadata.finalizers", finalizer)
        if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            yield invalid_value(f"metadata.finalizers[{index}]", finalizer, why)


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
    kinds.ROLES.resource: role_problems,
    kinds.CLUSTER_ROLES.resource: cluster_role_problems,
    kinds.ROLE_BINDINGS.resource: role_binding_problems,
    kinds.CLUSTER_ROLE_BINDINGS.resource: cluster_role_binding_problems,
    kinds.SECRETS.resource: _secret,
}
