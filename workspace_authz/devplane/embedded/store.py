"""The objects of the engine, their versions, and the bounded history that watches are served from."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from workspace_authz.devplane.embedded.objects import Object, name_of, namespace_of, with_metadata


class EventType(StrEnum):
    """What happened to an object, in the words of the watch API."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Event:
    """One change. A deleted object carries the version of its deletion."""

    type: EventType
    version: int
    object: Object
    previous: Object | None


class TooOldError(Exception):
    """The history no longer reaches back to the version asked for."""

    def __init__(self, version: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {version} ({oldest})")


@dataclass(slots=True)
class _Collection:
    objects: dict[str, dict[str, Object]] = field(default_factory=dict)
    """Namespace (empty for cluster-scoped resources) to name to object."""
    history: deque[Event] = field(default_factory=deque)
    forgotten: int = 0
    """The version of the latest event that fell out of ``history``."""


class Store:
    """Objects by resource, namespace and name. Use inside one event loop: no method waits but :meth:`wait`.

    ``history`` is the number of events kept for each resource. Versions start above ``first_version``;
    an engine that starts again must start higher, so that a watch from before is told to list again.
    """

    def __init__(self, *, history: int = 1000, first_version: int = 0) -> None:
        self.version = first_version
        self.closed = False
        self._history = history
        self._first_version = first_version
        self._collections: dict[str, _Collection] = {}
        self._changed = asyncio.Event()

    def get(self, resource: str, namespace: str, *, name: str) -> Object | None:
        """The object, or None."""
        return self._collection(resource).objects.get(namespace, {}).get(name)

    def list(self, resource: str, namespace: str = "") -> Sequence[Object]:
        """The objects of one namespace, or of all when it is empty, by namespace and name."""
        objects = self._collection(resource).objects
        namespaces = [namespace] if namespace else sorted(objects)
        return [obj for each in namespaces for _, obj in sorted(objects.get(each, {}).items())]

    def each(self, resource: str, namespace: str = "") -> Iterator[Object]:
        """The objects of exactly this namespace, in no order; faster than :meth:`list`."""
        return iter(self._collection(resource).objects.get(namespace, {}).values())

    def put(self, resource: str, obj: Object) -> Object:
        """Create or replace an object; returns it with its new version."""
        self.version += 1
        namespace, name = namespace_of(obj), name_of(obj)
        stored = with_metadata(obj, resourceVersion=str(self.version))
        siblings = self._collection(resource).objects.setdefault(namespace, {})
        previous = siblings.get(name)
        siblings[name] = stored
        kind = EventType.MODIFIED if previous is not None else EventType.ADDED
        self._record(resource, Event(kind, self.version, stored, previous))
        return stored

    def remove(self, resource: str, namespace: str, *, name: str) -> Object:
        """Delete an object; returns it as it was, with the version of its deletion. Raises ``KeyError``."""
        previous = self._collection(resource).objects[namespace].pop(name)
        self.version += 1
        gone = with_metadata(previous, resourceVersion=str(self.version))
        self._record(resource, Event(EventType.DELETED, self.version, gone, previous))
        return gone

    def since(self, resource: str, version: int) -> Sequence[Event]:
        """The events after ``version``, oldest first. Raises :class:`TooOldError`."""
        collection = self._collection(resource)
        oldest = max(collection.forgotten, self._first_version)
        if version < oldest:
            raise TooOldError(version, oldest)
        newer: list[Event] = []
        for event in reversed(collection.history):
            if event.version <= version:
                break
            newer.append(event)
        newer.reverse()
        return newer

    async def wait(self, version: int, *, seconds: float) -> bool:
        """Wait until something is newer than ``version``, or the store is closed; False if time ran out."""
        try:
            async with asyncio.timeout(seconds):
                while self.version <= version and not self.closed:
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """End every wait, for good."""
        self.closed = True
        self._changed.set()

    def _collection(self, resource: str) -> _Collection:
        return self._collections.setdefault(resource, _Collection())

    def _record(self, resource: str, event: Event) -> None:
        collection = self._collection(resource)
        collection.history.append(event)
        while len(collection.history) > self._history:
            collection.forgotten = collection.history.popleft().version
        if not self.closed:
            self._changed.set()
            self._changed = asyncio.Event()
