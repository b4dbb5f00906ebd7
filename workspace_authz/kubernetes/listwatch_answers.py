"""What the API server's answers to list, watch and get mean, and how they can fail."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from workspace_authz.errors import AuthzError

JsonObject: TypeAlias = Mapping[str, Any]


class ListWatchError(AuthzError):
    """A list, watch or get failed. The message tells an operator why, without the answer's body."""


class RetryableError(ListWatchError):
    """No answer, an answer that is not to be understood, or 429 and 5xx: try again later."""


class SilentError(ListWatchError):
    """An open watch carried neither an event nor a bookmark for too long."""


class ExpiredError(ListWatchError):
    """The resource version or the continue token is no longer served: list again."""


class AbsentError(ExpiredError):
    """404: the API server serves no such collection, because its kind is not installed."""


class DeniedError(ListWatchError):
    """401 or 403: the server's own credential or right is missing."""


class SelectorError(ListWatchError):
    """400 to a list with a label selector: the API server does not accept the selector."""


class EventType(StrEnum):
    """What a watch reports, its own errors aside."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a watch."""

    type: EventType
    item: JsonObject
    version: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list."""

    items: tuple[JsonObject, ...]
    version: str
    token: str
    """Where the next page continues; empty on the last."""


def object_key(item: JsonObject) -> tuple[str, str]:
    """``(namespace, name)``; cluster-scoped objects have no namespace. Raises :class:`ListWatchError`."""
    metadata = _metadata(item)
    namespace, name = metadata.get("namespace") or "", metadata.get("name")
    if not isinstance(name, str) or not name or not isinstance(namespace, str):
        raise RetryableError("the answer held an object without a name")
    # Thousands of objects share a namespace's name.
    return sys.intern(namespace), name


def demand_ok(status: int) -> None:
    """Raise the :class:`ListWatchError` that an HTTP status means; 200 means none."""
    if status == 200:
        return
    if status in (401, 403):
        raise DeniedError(f"the API server answered {status}")
    if status in (408, 429) or status >= 500:
        raise RetryableError(f"the API server answered {status}")
    if status == 404:
        raise AbsentError("the API server answered 404")
    # 410 by name; what else is wrong with the question is the resource version, if it was right before.
    raise ExpiredError(f"the API server answered {status}")


def parse_page(text: bytes) -> Page:
    """One page from a list's body. Raises :class:`ListWatchError`."""
    document = parse_object(text)
    items, metadata = document.get("items"), _metadata(document)
    version, token = metadata.get("resourceVersion"), metadata.get("continue") or ""
    if not isinstance(items, list) or not isinstance(version, str) or not isinstance(token, str):
        raise RetryableError("the answer was no Kubernetes list")
    return Page(items=tuple(_item(item) for item in items), version=version, token=token)


def parse_event(line: bytes) -> Event:
    """One event from a line of a watch. Raises :class:`ListWatchError`."""
    document = parse_object(line)
    kind, item = document.get("type"), _item(document.get("object"))
    if kind == "ERROR":
        code = item.get("code")
        raise ExpiredError(f"the watch ended with error {code if isinstance(code, int) else 'unknown'}")
    version = _metadata(item).get("resourceVersion")
    if (
        not isinstance(kind, str)
        or kind not in EventType.__members__
        or not isinstance(version, str)
        or not version
    ):
        raise RetryableError("the watch sent an event that is not to be understood")
    return Event(type=EventType(kind), item=item, version=version)


def parse_object(text: bytes) -> JsonObject:
    """Any JSON object. Raises :class:`ListWatchError`."""
    try:
        return _item(json.loads(text))
    except ValueError as error:
        raise RetryableError("the answer was not JSON") from error


def _item(value: object) -> JsonObject:
    if not isinstance(value, dict):
        raise RetryableError("the answer was no Kubernetes object")
    return value


def _metadata(item: JsonObject) -> JsonObject:
    return _item(item.get("metadata"))
