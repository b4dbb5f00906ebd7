"""Server-side apply: a manager states the fields it cares about, and owns them from then on.

Ownership is kept among appliers: fields written in any other way have no owner here, and applying over
them is never a conflict (in Kubernetes it is).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workspace_authz.devplane.embedded.fieldsets import (
    MISSING,
    Path,
    decode,
    encode,
    join,
    merge,
    paths,
    read,
    show,
    without,
)
from workspace_authz.devplane.embedded.kinds import Kind
from workspace_authz.devplane.embedded.objects import Object, metadata, name_of, with_metadata
from workspace_authz.devplane.embedded.status import ApiError, quoted

_IDENTITY = frozenset(
    (("f:apiVersion",), ("f:kind",), ("f:metadata", "f:name"), ("f:metadata", "f:namespace"))
)
_NOT_APPLIED = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation")


def apply(kind: Kind, live: Object | None, applied: Object, *, manager: str, force: bool, now: str) -> Object:
    """What the object is after ``manager`` applied its fields; ``live`` is None when it is new.

    Raises a 409 when another manager owns a field with another value, unless ``force`` takes it over.
    """
    config = with_metadata(applied, **dict.fromkeys(_NOT_APPLIED))
    wanted = frozenset(paths(kind.schema, config)) - _IDENTITY
    if live is None:
        return _with_managers(config, {manager: wanted}, kind, now=now, old=())
    entries = metadata(live).get("managedFields") or ()
    owners = {each["manager"]: decode(each["fieldsV1"]) for each in entries}
    before = owners.pop(manager, frozenset())
    conflicts = {
        other: sorted(
            path for path in wanted & fields if read(live, path) not in (MISSING, read(config, path))
        )
        for other, fields in owners.items()
    }
    conflicts = {other: fields for other, fields in conflicts.items() if fields}
    if conflicts and not force:
        raise _conflict(conflicts)
    owners = {other: fields - frozenset(conflicts.get(other, ())) for other, fields in owners.items()}
    merged = merge(kind.schema, live, config)
    for path in before - wanted - join(list(owners.values())):
        merged = without(kind.schema, merged, path)
    return _with_managers(merged, {**owners, manager: wanted}, kind, now=now, old=entries)


def _with_managers(
    obj: Object, owners: Mapping[str, frozenset[Path]], kind: Kind, *, now: str, old: Any
) -> Object:
    known = {each["manager"]: each for each in old}
    entries = []
    for manager, fields in owners.items():
        entry = {
            "manager": manager,
            "operation": "Apply",
            "apiVersion": kind.api_version,
            "time": now,
            "fieldsType": "FieldsV1",
            "fieldsV1": encode(fields),
        }
        if (same := known.get(manager)) and same["fieldsV1"] == entry["fieldsV1"]:
            entry = same  # with its time, so that applying again changes nothing
        if fields:
            entries.append(entry)
    return with_metadata(obj, name=name_of(obj), managedFields=entries or None)


def _conflict(conflicts: Mapping[str, list[Path]]) -> ApiError:
    count = sum(map(len, conflicts.values()))
    parts = [
        f"conflict with {quoted(manager)}: {', '.join(map(show, fields))}"
        for manager, fields in sorted(conflicts.items())
    ]
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {quoted(manager)}", "field": show(path)}
        for manager, fields in sorted(conflicts.items())
        for path in fields
    ]
    message = f"Apply failed with {count} conflict{'s' if count > 1 else ''}: {'; '.join(parts)}"
    return ApiError(409, "Conflict", message, details={"causes": causes})
