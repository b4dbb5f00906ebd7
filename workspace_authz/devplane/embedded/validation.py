"""What makes an object invalid, by kind. The wording follows kube-apiserver 1.36, not to the letter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from workspace_authz.devplane.embedded import kinds
from workspace_authz.devplane.embedded.kinds import Kind
from workspace_authz.devplane.embedded.names import (
    label_name_problem,
    path_segment_problem,
    subdomain_problem,
)
from workspace_authz.devplane.embedded.objects import Object, name_of
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
)

_GO_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {"apiGroup": "APIGroup", "kind": "Kind", "name": "Name"}
)

Problems = Iterator[FieldProblem]


def check(kind: Kind, obj: Object, *, old: Object | None = None) -> None:
    """Raise a 422 when ``obj`` may not be stored; ``old`` is what an update would replace."""
    problems = [*_metadata(kind, obj), *_RULES.get(kind.resource, _nothing)(obj)]
    if old is not None:
        problems += _update(kind, obj, old=old)
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
    if not (name := name_of(obj)):
        yield required_value("metadata.name", "name or generateName is required")
    elif problem := _name_problem(kind, name):
        yield invalid_value("metadata.name", name, why=problem)


def _update(kind: Kind, obj: Object, *, old: Object) -> Problems:
    if kind in (kinds.ROLE_BINDINGS, kinds.CLUSTER_ROLE_BINDINGS) and obj["roleRef"] != old["roleRef"]:
        shown = {_GO_NAMES[key]: value for key, value in obj["roleRef"].items()}
        yield invalid_value("roleRef", shown, why="cannot change roleRef")


def _nothing(_: Mapping[str, Any]) -> Problems:
    return iter(())


_RULES: Final[Mapping[str, Callable[[Mapping[str, Any]], Problems]]] = MappingProxyType(
    {
        kinds.ROLES.resource: role_problems,
        kinds.CLUSTER_ROLES.resource: cluster_role_problems,
        kinds.ROLE_BINDINGS.resource: role_binding_problems,
        kinds.CLUSTER_ROLE_BINDINGS.resource: cluster_role_binding_problems,
    }
)
