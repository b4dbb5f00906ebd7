"""The effect on the answer to a GraphQL document: lists within it are kept to what the caller may see."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from workspace_authz.aio.asgi import App, Receive, Scope, Send
from workspace_authz.doors.asgi.answers import UnreadableAnswerError, answer_of


@dataclass(frozen=True, slots=True)
class Place:
    """A list in the answer's ``data``."""

    path: tuple[str, ...]
    """Keys, and ``[]`` for every element of a list."""
    names: tuple[str, ...]
    """The keys under which an element shows its name. Without any it is not shown."""


@dataclass(frozen=True, slots=True)
class ElementFilter:
    """Which elements of some lists the caller gets."""

    places: tuple[Place, ...]
    allowed: Collection[str]
    """Names."""

    def around(self, app: App) -> App:
        """``app`` with its answer filtered. Raises :class:`RequestError` before anything is sent."""

        async def filtered(scope: Scope, receive: Receive, send: Send) -> None:
            inner = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]}
            answer = await answer_of(app, inner, receive)
            if not answer.refuses:
                answer = answer.with_content(self.filtered(answer.content))
            await answer.send(send)

        return filtered

    def filtered(self, content: bytes) -> bytes:
        """The answer with less in it; raises :class:`UnreadableAnswerError` for one that is none."""
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            raise UnreadableAnswerError from None
        if not isinstance(document, dict) or "data" not in document:
            raise UnreadableAnswerError
        for place in self.places:
            for elements in _lists_at(document["data"], place.path):
                elements[:] = [each for each in elements if self._may_see(each, place)]
        return json.dumps(document).encode()

    def _may_see(self, element: object, place: Place) -> bool:
        if not isinstance(element, dict):
            raise UnreadableAnswerError
        return bool(place.names) and all(element.get(key) in self.allowed for key in place.names)


def _lists_at(value: Any, path: tuple[str, ...]) -> Iterator[list[Any]]:
    """What is at ``path``; GraphQL answers null for what went wrong on the way."""
    if value is None:
        return
    if not path:
        if not isinstance(value, list):
            raise UnreadableAnswerError
        yield value
    elif path[0] == "[]":
        if not isinstance(value, list):
            raise UnreadableAnswerError
        for element in value:
            yield from _lists_at(element, path[1:])
    elif isinstance(value, dict) and path[0] in value:
        yield from _lists_at(value[path[0]], path[1:])
    else:
        raise UnreadableAnswerError
