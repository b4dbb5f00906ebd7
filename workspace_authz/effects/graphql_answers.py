"""What is left of the answer to a GraphQL document: lists within it are kept to what the caller may see."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workspace_authz.effects.lists import UnreadableAnswerError


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

    def filtered(self, document: Mapping[str, Any]) -> bytes:
        """The answer with the allowed elements only. Raises :class:`UnreadableAnswerError`."""
        if "data" not in document:
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
