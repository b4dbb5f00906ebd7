"""Watches: the changes to a collection as a stream of events.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes. A watch reads
the store's history at its own pace; one that falls behind the history gets 410 and has to list again.
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from workspace_authz.devplane.embedded.kinds import Kind
from workspace_authz.devplane.embedded.objects import Object, version_of
from workspace_authz.devplane.embedded.selectors import Selection
from workspace_authz.devplane.embedded.status import expired
from workspace_authz.devplane.embedded.store import Event, EventType, Store, TooOldError

_MIN_TIMEOUT_SECONDS = 1800.0  # the API server's --min-request-timeout


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What a watch asks for."""

    kind: Kind
    namespace: str
    selected: Selection
    version: int = 0
    """Where to begin; 0 begins with what is there."""
    bookmarks: bool = False
    timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One event as it is sent."""

    type: str
    object: Object


async def watch(
    store: Store,
    options: WatchOptions,
    *,
    bookmark_seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[WatchEvent]:
    """The events, until the timeout, an expired version, or the end of the store."""
    deadline = clock() + _timeout(options)
    version = options.version
    if version == 0:
        version = store.version
        for obj in store.list(options.kind.resource, options.namespace):
            if options.selected(obj):
                yield WatchEvent(EventType.ADDED, obj)
    next_bookmark = clock() + bookmark_seconds
    while not store.closed and (now := clock()) < deadline:
        try:
            events = store.since(options.kind.resource, version)
        except TooOldError as error:
            yield WatchEvent("ERROR", expired(str(error)).body())
            return
        seen = store.version
        for event in events:
            for each in _seen_through(options, event):
                yield each
        version = max(version, seen)
        if options.bookmarks and now >= next_bookmark:
            yield _bookmark(options, version)
            next_bookmark = now + bookmark_seconds
        pause = min(deadline, next_bookmark if options.bookmarks else deadline) - clock()
        await store.wait(version, seconds=max(pause, 0.0))
    if options.bookmarks and not store.closed:
        yield _bookmark(options, version)


def _timeout(options: WatchOptions) -> float:
    if options.timeout_seconds is not None:
        return options.timeout_seconds
    # Spread, so that a herd of clients does not come back at once.
    return random.uniform(_MIN_TIMEOUT_SECONDS, 2 * _MIN_TIMEOUT_SECONDS)  # noqa: S311 - not a secret


def _seen_through(options: WatchOptions, event: Event) -> Iterator[WatchEvent]:
    """The event as somebody sees it who sees only the selected objects: they come and go."""
    if options.namespace and event.object["metadata"].get("namespace") != options.namespace:
        return
    was = event.previous is not None and options.selected(event.previous)
    is_now = event.type is not EventType.DELETED and options.selected(event.object)
    if is_now:
        yield WatchEvent(EventType.MODIFIED if was else EventType.ADDED, event.object)
    elif was:
        yield WatchEvent(EventType.DELETED, _gone(event))


def _gone(event: Event) -> Object:
    """What a deleted or no longer selected object was, with the version of that change."""
    last = event.previous if event.previous is not None else event.object
    return {**last, "metadata": {**last["metadata"], "resourceVersion": str(version_of(event.object))}}


def _bookmark(options: WatchOptions, version: int) -> WatchEvent:
    fields: Object = {"resourceVersion": str(version), "creationTimestamp": None}
    body: Object = {"kind": options.kind.kind, "apiVersion": options.kind.api_version, "metadata": fields}
    return WatchEvent("BOOKMARK", body)
