"""Lists and objects as tables: what ``kubectl get`` asks for and prints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workspace_authz.devplane.embedded import kinds
from workspace_authz.devplane.embedded.kinds import Kind
from workspace_authz.devplane.embedded.objects import Object, metadata, name_of

_META = "meta.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    cell: Callable[[Object, float], object]
    """From the object and the present time, in seconds since the epoch."""
    wide: bool = False
    type: str = "string"
    format: str = ""

    def definition(self) -> Object:
        fields = {"name": self.name, "type": self.type, "format": self.format, "description": ""}
        return {**fields, "priority": 1 if self.wide else 0}


def wants_table(accept: str) -> bool:
    """Whether the ``Accept`` header asks for a table before anything else that is served."""
    for choice in accept.split(","):
        parameters = [part.strip() for part in choice.split(";")]
        if "as=Table" in parameters and "v=v1" in parameters:
            return True
        if parameters == ["application/json"]:
            return False
    return False


def table(
    kind: Kind,
    objects: Iterable[Object],
    *,
    list_metadata: Mapping[str, Any],
    include: str,
    now: float,
    head: bool = True,
) -> Object:
    """A ``Table`` of ``objects``. ``include`` is the query parameter ``includeObject``."""
    columns = _COLUMNS[kind.resource]
    rows = [
        {"cells": [column.cell(obj, now) for column in columns], **_included(obj, include)} for obj in objects
    ]
    definitions = [column.definition() for column in columns] if head else None
    return {
        "kind": "Table",
        "apiVersion": _META,
        "metadata": dict(list_metadata),
        "columnDefinitions": definitions,
        "rows": rows,
    }


def _included(obj: Object, include: str) -> Object:
    if include == "None":
        return {}
    if include == "Object":
        return {"object": obj}
    partial = {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": obj["metadata"]}
    return {"object": partial}


def _age(obj: Object, now: float) -> str:
    created = metadata(obj).get("creationTimestamp")
    if not created:
        return "<unknown>"
    return _duration(int(now - datetime.fromisoformat(created).timestamp()))


def _duration(seconds: int) -> str:
    """About as coarse as kubectl prints it: 90s, 5m, 3h, 12d."""
    for unit, size, until in (("s", 1, 120), ("m", 60, 180 * 60), ("h", 3600, 48 * 3600)):
        if seconds < until:
            return f"{max(seconds, 0) // size}{unit}"
    return f"{seconds // 86400}d"


def _subjects(kind: str) -> Callable[[Object, float], str]:
    def cell(obj: Object, _: float) -> str:
        chosen = [each for each in obj.get("subjects") or () if each.get("kind") == kind]
        return ", ".join("/".join(filter(None, (each.get("namespace"), each["name"]))) for each in chosen)

    return cell


def _role(obj: Object, _: float) -> str:
    return f"{obj['roleRef']['kind']}/{obj['roleRef']['name']}"


def _phase(obj: Object, _: float) -> str:
    return str(obj["status"]["phase"])


def _secret_type(obj: Object, _: float) -> str:
    return str(obj["type"])


def _count(field: str) -> Callable[[Object, float], int]:
    def cell(obj: Object, _: float) -> int:
        return len(obj.get(field) or ())

    return cell


def _created(obj: Object, _: float) -> str:
    return str(metadata(obj).get("creationTimestamp", ""))


_NAME = _Column("Name", lambda obj, _: name_of(obj), format="name")
_AGE = _Column("Age", _age)
_CREATED = _Column("Created At", _created, type="date")
_BINDING_COLUMNS = (
    _NAME,
    _Column("Role", _role),
    _AGE,
    _Column("Users", _subjects("User"), wide=True),
    _Column("Groups", _subjects("Group"), wide=True),
    _Column("ServiceAccounts", _subjects("ServiceAccount"), wide=True),
)
_COLUMNS: Mapping[str, Sequence[_Column]] = {
    kinds.NAMESPACES.resource: (_NAME, _Column("Status", _phase), _AGE),
    kinds.SERVICE_ACCOUNTS.resource: (_NAME, _Column("Secrets", _count("secrets"), type="integer"), _AGE),
    kinds.SECRETS.resource: (
        _NAME,
        _Column("Type", _secret_type),
        _Column("Data", _count("data"), type="integer"),
        _AGE,
    ),
    kinds.ROLES.resource: (_NAME, _CREATED),
    kinds.CLUSTER_ROLES.resource: (_NAME, _CREATED),
    kinds.ROLE_BINDINGS.resource: _BINDING_COLUMNS,
    kinds.CLUSTER_ROLE_BINDINGS.resource: _BINDING_COLUMNS,
}
