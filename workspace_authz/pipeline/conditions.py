"""Whether a request names an object at all: decides if a conditional requirement applies.

Where that cannot be seen (a body too large, encoded or not JSON) the requirement applies: more is asked,
never less.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qs

from workspace_authz.catalog.model import Identifier, NameSource, Origin, Requirement
from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.reader import Values
from workspace_authz.mlflow_adapter.reading.references import GATEWAY_URI, mentions_issue
from workspace_authz.mlflow_adapter.reading.request import AccessRequest

_SOURCE_URIS: Final = ("models:/", "runs:/")
_UNREADABLE: Final = object()


async def applies(
    requirement: Requirement,
    request: AccessRequest,
    parameters: Mapping[str, str],
    *,
    reading: Values | None = None,
) -> bool:
    """Whether ``requirement`` holds for this request. Without ``reading`` one ``unless_present`` does."""
    if requirement.unless_present:
        return not await _certainly_named(requirement, reading)
    if not requirement.when_present:
        return True
    for source in requirement.names:
        values = await _values(source, request, parameters)
        if any(value is _UNREADABLE or _counts(source, value) for value in values):
            return True
    return False


async def _certainly_named(requirement: Requirement, reading: Values | None) -> bool:
    """Whether MLflow finds a name: its parser stops at a field that it cannot take and forgets the rest."""
    if reading is None:
        return False
    try:
        for source in requirement.names:
            if await reading.values(source, complete=False):
                return True
    except BadRequestError:
        pass
    return False


def _counts(source: NameSource, value: object) -> bool:
    if value in (None, "", [], {}) or (source.identifies is Identifier.FLAG and value is False):
        return False
    text = value if isinstance(value, str) else json.dumps(value)
    match source.identifies:
        case Identifier.GATEWAY_MODEL_URI:
            return GATEWAY_URI in _unescaped(text).lower()
        case Identifier.MODEL_SOURCE_URI:
            return text.strip().lower().startswith(_SOURCE_URIS)
        case Identifier.ISSUE_MENTION:
            return mentions_issue(text)
        case _:
            return True


def _unescaped(text: str) -> str:
    """A JSON text with its escapes resolved, lest ``\\u0067ateway:\\/`` hide; other text as it is."""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


async def _values(source: NameSource, request: AccessRequest, parameters: Mapping[str, str]) -> list[Any]:
    fields = (source.field, *source.aliases)
    match source.origin:
        case Origin.PATH:
            return [parameters.get(source.field)]
        case Origin.HEADER:
            return [value.decode("latin-1") for value in request.header(source.field.lower().encode())]
        case Origin.QUERY:
            return _in_query(fields, request.query)
        case Origin.BODY:
            return [*_in_query(fields, request.query), *_in_document(fields, await _document(request))]
        case _:
            return [_UNREADABLE]


def _in_query(fields: Sequence[str], query: bytes) -> list[Any]:
    if not query:
        return []
    sent = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    names = [spelling for field in fields for spelling in _spellings(field.removesuffix("[]"))]
    return [text for name in names for text in sent.get(name, ())]


def _in_document(fields: Sequence[str], document: Any) -> list[Any]:
    if document is _UNREADABLE:
        return [_UNREADABLE]
    return [found for field in fields for found in _walk(document, field.split("."))]


def _spellings(name: str) -> tuple[str, ...]:
    """A field's name, also in the camelCase that protobuf's JSON accepts at each level by itself."""
    camel = re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)
    return (name,) if camel == name else (name, camel)


async def _document(request: AccessRequest) -> Any:
    body = await request.body.read()
    if body is None or request.header(b"content-encoding"):
        return _UNREADABLE
    if not body:
        return None
    try:
        document = json.loads(body)
        # MLflow accepts a JSON text that holds the JSON document.
        return json.loads(document) if isinstance(document, str) else document
    except (ValueError, RecursionError):
        return _UNREADABLE


def _walk(value: Any, path: list[str]) -> Iterator[Any]:
    if not path:
        yield value
        return
    if not isinstance(value, dict):
        return
    head, rest = path[0], path[1:]
    for name in _spellings(head.removesuffix("[]")):
        inner = value.get(name)
        if inner is None:
            continue
        if not head.endswith("[]"):
            yield from _walk(inner, rest)
        elif isinstance(inner, list):
            for element in inner:
                yield from _walk(element, rest)
        else:
            # Not the list that MLflow's schema has: let the requirement hold.
            yield _UNREADABLE
