"""Whether a request names an object at all: decides if a conditional requirement applies.

Where that cannot be seen (a body too large, encoded or not JSON) the requirement applies: more is asked,
never less.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qs

from workspace_authz.catalog.model import Identifier, NameSource, Origin, Requirement
from workspace_authz.enforcement.request import AccessRequest

_GATEWAY_URI: Final = "gateway:/"
_SOURCE_URIS: Final = ("models:/", "runs:/")
_UNREADABLE: Final = object()


async def applies(requirement: Requirement, request: AccessRequest, parameters: Mapping[str, str]) -> bool:
    """Whether ``requirement`` holds for this request."""
    if requirement.unless_present:
        return not await _certainly_named(requirement, request, parameters)
    if not requirement.when_present:
        return True
    for source in requirement.names:
        values = await _values(source, request, parameters)
        if any(value is _UNREADABLE or _counts(source, value) for value in values):
            return True
    return False


async def _certainly_named(
    requirement: Requirement, request: AccessRequest, parameters: Mapping[str, str]
) -> bool:
    """Whether MLflow finds a name for sure: a query beside a body does not count, MLflow ignores it."""
    bare = replace(request, query=b"") if request.method != "GET" else request
    for source in requirement.names:
        values = await _values(source, bare, parameters)
        if _UNREADABLE not in values and any(_counts(source, value) for value in values):
            return True
    return False


def _counts(source: NameSource, value: object) -> bool:
    if value in (None, "", [], {}) or (source.identifies is Identifier.FLAG and value is False):
        return False
    text = value if isinstance(value, str) else json.dumps(value)
    match source.identifies:
        case Identifier.GATEWAY_MODEL_URI:
            return _GATEWAY_URI in _unescaped(text).lower()
        case Identifier.MODEL_SOURCE_URI:
            return text.strip().lower().startswith(_SOURCE_URIS)
        case _:
            return True


def _unescaped(text: str) -> str:
    """A JSON text with its escapes resolved, lest ``\\u0067ateway:\\/`` hide; other text as it is."""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


async def _values(source: NameSource, request: AccessRequest, parameters: Mapping[str, str]) -> list[Any]:
    match source.origin:
        case Origin.PATH:
            return [parameters.get(source.field)]
        case Origin.HEADER:
            return [value.decode("latin-1") for value in request.header(source.field.lower().encode())]
        case Origin.QUERY:
            return _in_query(source, request)
        case Origin.BODY:
            return [*_in_query(source, request), *_in_document(source, await _document(request))]
        case _:
            return [_UNREADABLE]


def _in_query(source: NameSource, request: AccessRequest) -> list[Any]:
    if not request.query:
        return []
    query = parse_qs(request.query.decode("latin-1"), keep_blank_values=True)
    return [text for spelling in _spellings(source) for text in query.get(spelling.removesuffix("[]"), ())]


def _in_document(source: NameSource, document: Any) -> list[Any]:
    if document is _UNREADABLE:
        return [_UNREADABLE]
    return [found for spelling in _spellings(source) for found in _walk(document, spelling.split("."))]


def _spellings(source: NameSource) -> Iterator[str]:
    """The field and its aliases, each also in the camelCase that protobuf's JSON accepts."""
    for field in (source.field, *source.aliases):
        yield field
        camel = re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), field)
        if camel != field:
            yield camel


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
    head, rest = path[0], path[1:]
    many = head.endswith("[]")
    inner = value.get(head.removesuffix("[]")) if isinstance(value, dict) else None
    if inner is None:
        return
    if not many:
        yield from _walk(inner, rest)
    elif isinstance(inner, list):
        for element in inner:
            yield from _walk(element, rest)
    else:
        # Not the list that MLflow's schema has: let the requirement hold.
        yield _UNREADABLE
