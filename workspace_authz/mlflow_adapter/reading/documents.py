"""The JSON of a request, parsed once and as MLflow's handlers read it.

MLflow (``handlers._get_normalized_request_json``, 3.17.2) takes a body as JSON whatever its content type. It
decodes a JSON text that holds JSON, takes the last of equal keys, and silently reads nothing where it cannot
parse.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from workspace_authz.errors import BadRequestError, UndeliveredBodyError

_IN_THREAD: Final = 32 * 1024
"""Bytes. From this size on, a worker thread parses."""
_UNREADABLE: Final = (
    "This request is refused: its body must be a plain JSON object, unencoded and of usual size."
)


@dataclass(frozen=True, slots=True)
class JsonBody:
    """What a body says."""

    value: Any = None
    """None for no body."""
    readable: bool = True
    """False for a body that is too large, encoded or no JSON."""
    doubled: bool = False
    """A key stands twice in one object."""
    limit: int | None = None
    """The bound in bytes that the body exceeds; None for a body that does not."""
    undelivered: UndeliveredBodyError | None = None
    """Why the body is not there; None for a body that is."""

    def as_object(self) -> dict[str, Any]:
        """The JSON object; an empty one for no body. Raises :class:`BadRequestError` for anything else.

        Raises also :class:`UndeliveredBodyError`.
        """
        self.demand_all()
        if not self.readable or self.doubled:
            raise unreadable()
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            raise unreadable()
        return self.value

    def demand_all(self) -> None:
        """Raise :class:`RequestError` for a body that is not here whole, whatever stands in it."""
        if self.undelivered is not None:
            raise self.undelivered
        if self.limit is not None:
            raise too_large(self.limit)


UNREADABLE: Final = JsonBody(readable=False)


async def read_json(body: bytes | None, *, encoded: bool, limit: int) -> JsonBody:
    """Parse a body. None stands for one of more than ``limit`` bytes; ``encoded`` says it is compressed."""
    if body is None:
        return JsonBody(readable=False, limit=limit)
    if encoded:
        return UNREADABLE
    if not body:
        return JsonBody()
    return parse(body) if len(body) < _IN_THREAD else await asyncio.to_thread(parse, body)


def parse(text: str | bytes) -> JsonBody:
    """Any JSON, itself possibly within one JSON text."""
    doubles = _Doubles()
    try:
        value = json.loads(text, object_pairs_hook=doubles.noted)
        if isinstance(value, str):
            value = json.loads(value, object_pairs_hook=doubles.noted)
    except (ValueError, RecursionError):
        return UNREADABLE
    return JsonBody(value, doubled=doubles.found)


def parse_text(text: str) -> Any:
    """JSON that stands in a text of a document. Raises :class:`BadRequestError` for what is none."""
    doubles = _Doubles()
    try:
        value = json.loads(text, object_pairs_hook=doubles.noted)
    except (ValueError, RecursionError):
        raise unreadable() from None
    if doubles.found:
        raise unreadable()
    return value


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


def too_large(limit: int) -> BadRequestError:
    """The refusal of a body that must be read and has more than ``limit`` bytes."""
    return BadRequestError(
        f"The body is too large: the server must read it to decide on this request, and reads at most "
        f"{limit} bytes. Send less at once; the server's setting WORKSPACE_AUTHZ_BODY_BYTES raises the limit."
    )


def unreadable() -> BadRequestError:
    """The refusal of a body that MLflow could read in another way than we do."""
    return BadRequestError(_UNREADABLE)


class _Doubles:
    """Notes whether a key stood twice."""

    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found = False

    def noted(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        document = dict(pairs)
        if len(document) != len(pairs):
            self.found = True
        return document
