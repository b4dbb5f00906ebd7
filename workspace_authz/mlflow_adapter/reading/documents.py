"""The JSON document of a request, as MLflow's handlers read it; what they could read otherwise is refused.

MLflow (``handlers._get_normalized_request_json``) takes a body as JSON whatever its content type, a JSON text
that holds JSON as that JSON, the last of equal keys, and silently nothing for what it cannot parse.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from typing import Any, Final

from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.request import AccessRequest

_UNREADABLE: Final = (
    "This request is refused: its body must be a plain JSON object, unencoded and of usual size."
)


async def read_document(request: AccessRequest) -> dict[str, Any]:
    """The body's JSON object; empty for no body. Raises :class:`BadRequestError` for anything else."""
    body = await request.body.read()
    if body is None or any(value.strip().lower() != b"identity" for value in _encodings(request)):
        raise BadRequestError(_UNREADABLE)
    return parse_object(body) if body else {}


def parse_object(text: str | bytes) -> dict[str, Any]:
    """A JSON object without doubled keys, itself possibly inside of a JSON text."""
    document = parse(text)
    if isinstance(document, str):
        document = parse(document)
    if not isinstance(document, dict):
        raise BadRequestError(_UNREADABLE)
    return document


def parse(text: str | bytes) -> Any:
    """Any JSON without doubled keys; raises :class:`BadRequestError` for what is none."""
    try:
        return json.loads(text, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError):
        raise BadRequestError(_UNREADABLE) from None


def plain(text: str) -> str:
    """``text`` without accents, case and blanks at its ends.

    Some databases compare so: keys that are plain alike may be one key.
    """
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().strip().casefold()


def texts(value: Any) -> Iterator[str]:
    """Every text in a document, keys included."""
    stack = [value]
    while stack:
        found = stack.pop()
        if isinstance(found, str):
            yield found
        elif isinstance(found, dict):
            yield from found
            stack.extend(found.values())
        elif isinstance(found, list):
            stack.extend(found)


def _encodings(request: AccessRequest) -> list[bytes]:
    return request.header(b"content-encoding")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key stands twice")
    return document
