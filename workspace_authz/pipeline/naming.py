"""Which objects a request is about: whether a conditional requirement holds, and the names to ask with."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Final

from workspace_authz.catalog.model import Identifier, NameSource, Requirement
from workspace_authz.errors import BadRequestError, UndeliveredBodyError
from workspace_authz.mlflow_adapter.reading.places import Place, lies_among_skills
from workspace_authz.mlflow_adapter.reading.reader import UNREADABLE, RequestReader, Values
from workspace_authz.mlflow_adapter.reading.references import (
    GATEWAY_URI,
    artifact_place,
    is_place,
    mentions_issue,
    references,
)
from workspace_authz.pipeline.case import Case
from workspace_authz.types import READING, Resource, Verb

_SOURCE_URIS: Final = ("models:/", "runs:/")


@dataclass(frozen=True, slots=True)
class ObjectName:
    """The RBAC name of one object that a request touches."""

    name: str
    sent: bool
    """The caller sent the name. A name that was looked up is not told to a caller who is refused."""


def nameable(requirement: Requirement) -> bool:
    """Whether a right on a named object can fulfil it: never a ``create``, except of a ``use``."""
    return (
        bool(requirement.names)
        and not requirement.unless_present
        and (requirement.verb is not Verb.CREATE or bool(requirement.subresource))
    )


async def applies(requirement: Requirement, reader: RequestReader) -> bool:
    """Whether ``requirement`` holds for this request.

    Where that cannot be seen (a body too large, encoded or not JSON) it holds: more is asked, never less.
    """
    if requirement.unless_present:
        return not await _certainly_named(requirement, reader)
    if not requirement.when_present:
        return not await _about_skills(requirement, reader)
    for source in requirement.names:
        values = await reader.possible_values(source)
        if any(value is UNREADABLE or _counts(requirement, source, value=value) for value in values):
            return True
    return False


async def _about_skills(requirement: Requirement, reader: RequestReader) -> bool:
    """Whether each artifact path that is read here lies among skills: these have rights of their own."""
    if requirement.verb not in READING:
        return False
    paths = [
        path
        for source in requirement.names
        if source.identifies is Identifier.ARTIFACT_PATH
        for path in await reader.possible_values(source)
    ]
    return bool(paths) and all(isinstance(path, str) and lies_among_skills(path) for path in paths)


async def _certainly_named(requirement: Requirement, reader: RequestReader) -> bool:
    """Whether MLflow finds a name: its parser stops at a field that it cannot take and forgets the others."""
    if not reader.has_mlflow:
        return False
    try:
        for source in requirement.names:
            if await reader.values(source, complete=False):
                return True
    except (BadRequestError, UndeliveredBodyError):
        pass
    return False


def _counts(requirement: Requirement, source: NameSource, *, value: object) -> bool:
    if value in (None, "", [], {}) or (source.identifies is Identifier.FLAG and value is False):
        return False
    text = value if isinstance(value, str) else json.dumps(value)
    match source.identifies:
        case Identifier.GATEWAY_MODEL_URI:
            return GATEWAY_URI in _unescaped(text).lower()
        case Identifier.MODEL_SOURCE_URI:
            of_experiment = requirement.resource is Resource.EXPERIMENTS and is_place(text)
            return of_experiment or text.strip().lower().startswith(_SOURCE_URIS)
        case Identifier.ISSUE_MENTION:
            return mentions_issue(text)
        case Identifier.SKILL_PATH:
            return lies_among_skills(text)
        case _:
            return True


def _unescaped(text: str) -> str:
    """A JSON text without escapes, in which ``\\u0067ateway:\\/`` could hide; other text as it is."""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


async def require_names(needed: Requirement, values: Values, *, case: Case) -> None:
    """Demand ``needed`` on each object that ``values`` name. Raises :class:`ForbiddenError`."""
    rights, broad = case.rights, case.rights.broad(needed)
    names = await names_of(needed, values, case=case)
    if names is None:
        raise rights.forbidden(broad)
    allowed = frozenset[str]()
    for sent in (True, False):
        chosen = [each.name for each in names if each.sent is sent]
        if chosen:
            allowed |= await rights.allowed_names(broad, chosen, looked_up=not sent)
    for each in names:
        if each.name not in allowed:
            question = replace(broad, name=each.name)
            # An object that the caller may not see is refused in the words of one that does not exist.
            told = each.sent or await rights.sees(question)
            raise rights.forbidden(question if told else broad)


async def names_of(needed: Requirement, values: Values, *, case: Case) -> tuple[ObjectName, ...] | None:
    """The objects of ``needed``; all of them must be allowed.

    None when names cannot fulfil it: a value identifies nothing in this workspace, or the request names no
    object. Empty only when the requirement is about nothing in this request. Raises :class:`RequestError`
    for a reference that could be read in two ways, or without a database.
    """
    for source in needed.names:
        found = await values.values(source, complete=not needed.when_present)
        if found:
            return await _named(needed, source, values=found, case=case)
    return () if needed.when_present else None


async def _named(
    needed: Requirement, source: NameSource, *, values: tuple[str, ...], case: Case
) -> tuple[ObjectName, ...] | None:
    found: dict[str, ObjectName] = {}
    wanted: dict[Identifier, list[str]] = {}
    for value in values:
        place = artifact_place(value, identifier=source.identifies, workspace=case.workspace)
        if place is not None:
            owners = await _owners(needed, place, case=case)
            if not owners and not _may_be_nobodys(needed, source, value=value, case=case):
                return None
            for owner in owners:
                found.setdefault(owner.name, owner)
            continue
        for identifier, key in references(value, resource=needed.resource, identifier=source.identifies):
            if identifier is Identifier.NAME:
                found[key] = ObjectName(key, sent=True)
            else:
                wanted.setdefault(identifier, []).append(key)
    for identifier, keys in wanted.items():
        names = await case.objects.names(
            keys, resource=needed.resource, identifier=identifier, workspace=case.rights.namespace
        )
        if identifier is not Identifier.NEW_TRACE_ID and not all(key in names for key in keys):
            return None
        for name in names.values():
            found.setdefault(name, ObjectName(name, sent=False))
    return tuple(found.values()) if found or needed.when_present else None


async def _owners(needed: Requirement, place: Place, *, case: Case) -> list[ObjectName]:
    """The experiments, or the skill, whose artifacts lie at ``place``. It is nothing of a model."""
    match needed.resource:
        case Resource.EXPERIMENTS:
            names = await case.objects.experiments_at(place, workspace=case.rights.namespace)
            return [ObjectName(name, sent=False) for name in sorted(names)]
        case Resource.SKILLS if place.skill is not None:
            return [ObjectName(place.skill, sent=True)]
        case _:
            return []


def _may_be_nobodys(needed: Requirement, source: NameSource, *, value: str, case: Case) -> bool:
    """Whether a place needs no owner: a new location and a shared place do not, nor does it for a model."""
    if source.identifies is Identifier.ARTIFACT_LOCATION or needed.resource is Resource.REGISTERED_MODELS:
        return True
    return source.identifies is Identifier.MODEL_SOURCE_URI and case.shared.hold(value)
