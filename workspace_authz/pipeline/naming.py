"""The names to ask with when the broad right is missing."""

from __future__ import annotations

from dataclasses import dataclass

from workspace_authz.catalog.model import Identifier, Requirement
from workspace_authz.mlflow_adapter.reading.reader import Objects, Values
from workspace_authz.mlflow_adapter.reading.references import references
from workspace_authz.types import Verb


@dataclass(frozen=True, slots=True)
class ObjectName:
    """The RBAC name of one object that a request touches."""

    name: str
    sent: bool
    """The caller sent the name itself; one that was looked up is not told to a caller who is refused."""


def nameable(requirement: Requirement) -> bool:
    """Whether a right on a named object can fulfil it: never a ``create``, except of a ``use``."""
    return (
        bool(requirement.names)
        and not requirement.unless_present
        and (requirement.verb is not Verb.CREATE or bool(requirement.subresource))
    )


async def names_of(
    requirement: Requirement, reading: Values, objects: Objects, *, namespace: str, workspace: str | None
) -> tuple[ObjectName, ...] | None:
    """The objects of ``requirement``; all of them must be allowed.

    None when it cannot be fulfilled by names: a value identifies nothing in this workspace, or the request
    names no object. Empty only when the requirement is about nothing in this request. ``workspace`` is None
    on a server without workspaces.
    """
    for source in requirement.names:
        values = await reading.values(source, complete=not requirement.when_present)
        if not values:
            continue
        found: dict[str, ObjectName] = {}
        wanted: dict[Identifier, list[str]] = {}
        for value in values:
            for identifier, key in references(
                requirement.resource, source.identifies, value, workspace=workspace
            ):
                if identifier is Identifier.NAME:
                    found[key] = ObjectName(key, sent=True)
                else:
                    wanted.setdefault(identifier, []).append(key)
        for identifier, keys in wanted.items():
            names = await objects.names(requirement.resource, identifier, keys, workspace=namespace)
            if identifier is not Identifier.NEW_TRACE_ID and not all(key in names for key in keys):
                return None
            for name in names.values():
                found.setdefault(name, ObjectName(name, sent=False))
        return tuple(found.values()) if found or requirement.when_present else None
    return () if requirement.when_present else None
