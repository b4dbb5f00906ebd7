"""A local copy of one resource that follows the API server: list once, then watch for ever."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Generic, TypeVar

from workspace_authz.aio.clock import Clock
from workspace_authz.kubernetes.connection import Connection
from workspace_authz.kubernetes.informer_state import Change, InformerState, Timing
from workspace_authz.kubernetes.listwatch import get_page, watch
from workspace_authz.kubernetes.listwatch_answers import (
    AbsentError,
    DeniedError,
    Event,
    EventType,
    ExpiredError,
    JsonObject,
    ListWatchError,
    RetryableError,
    SilentError,
    object_key,
)

_log = logging.getLogger(__name__)

T = TypeVar("T")

_RELIST_AFTER: Final = 3
"""Watches that fail this often in a row give up their resource version: what is wrong may be the version."""


class Informer(Generic[T]):
    """Follows one resource path and keeps what ``keep`` makes of each object.

    ``keep`` reduces an object to what is needed, so that nothing else is stored; an object of which it makes
    None is not stored. ``on_change`` is told of every difference, in order, one batch per list and one per
    event; ``on_followed`` whenever ``state.followed_since`` differs. All run on the event loop and must be
    quick. An ``optional`` kind that the API server does not serve counts as one without objects, and is
    looked for again and again.
    Run :meth:`run` in a supervised task.
    """

    def __init__(
        self,
        connection: Connection,
        path: str,
        *,
        keep: Callable[[JsonObject], T | None],
        on_change: Callable[[Sequence[Change[T]]], None],
        clock: Clock,
        on_followed: Callable[[], None] = lambda: None,
        label_selector: str = "",
        field_selector: str = "",
        optional: bool = False,
        page_size: int = 250,
        timing: Timing | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._connection = connection
        self._path = path
        self._keep = keep
        self._on_change = on_change
        self._on_followed = on_followed
        self._clock = clock
        selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
        self._selection = {name: selector for name, selector in selectors.items() if selector}
        self._optional = optional
        self._page_size = page_size
        self._timing = timing or Timing()
        self._chance = chance
        self._objects: dict[tuple[str, str], T] = {}
        self._version: str | None = None
        self._carried = False
        """The present watch has brought an event or a bookmark."""
        self._failures = 0
        self._state = InformerState()
        self._synced = asyncio.Event()

    @property
    def state(self) -> InformerState:
        """How well the API server is being followed."""
        return self._state

    @property
    def objects(self) -> Mapping[tuple[str, str], T]:
        """What is known, by ``(namespace, name)``. Changes while the informer runs."""
        return self._objects

    async def wait_synced(self) -> None:
        """Return once the first list is complete."""
        await self._synced.wait()

    async def run(self) -> None:
        """Follow until cancelled, through outages of any length."""
        while True:
            try:
                if self._version is None:
                    await self._list()
                await self._watch()
            except SilentError as error:
                # Maybe only the connection died unnoticed; the next one will tell.
                self._become(followed_since=None)
                _log.info("%s: %s; it is opened again", self._path, error)
            except ListWatchError as error:
                if self._optional and isinstance(error, AbsentError):
                    self._absent()
                else:
                    self._failed(error)
                await self._clock.sleep(self._delay())

    async def _list(self) -> None:
        found: dict[tuple[str, str], T] = {}
        query = {**self._selection, "limit": str(self._page_size)}
        while True:
            page = await get_page(self._connection, self._path, query=query, timeout=self._timing.list_page)
            self._heard()
            kept = ((object_key(item), self._keep(item)) for item in page.items)
            found.update((key, value) for key, value in kept if value is not None)
            if not page.token:
                break
            query["continue"] = page.token
        self._replace(found)
        self._version = page.version
        self._become(absent=False)

    def _replace(self, found: Mapping[tuple[str, str], T]) -> None:
        """Keep ``found``, and nothing else: a complete list."""
        changes = [
            Change(key, self._objects.get(key), found.get(key))
            for key in dict.fromkeys((*self._objects, *found))
            if self._objects.get(key) != found.get(key)
        ]
        for change in changes:
            self._put(change.key, change.new)
        self._on_change(changes)
        self._become(synced=True)
        self._synced.set()

    async def _watch(self) -> None:
        lifetime = int(self._timing.lifetime * (1 + self._chance() / 2))
        query = {
            **self._selection,
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version or "",
            "timeoutSeconds": str(lifetime),
        }
        begun, self._carried = self._clock.monotonic(), False
        try:
            await watch(
                self._connection,
                self._path,
                query=query,
                silence=self._timing.silence,
                on_open=self._well,
                on_event=self._apply,
            )
        except SilentError:
            if not self._carried:
                # So does a version that is not there yet look, as after a restored etcd (seen on 1.36.3).
                self._version = None
            raise
        finally:
            useful = self._carried or self._clock.monotonic() - begun >= self._timing.short_watch
            if useful:
                self._failures = 0
        if not useful:
            raise RetryableError("the API server closed the watch at once")

    def _apply(self, event: Event) -> None:
        self._heard()
        if event.type is not EventType.BOOKMARK:
            key = object_key(event.item)
            old = self._objects.get(key)
            new = None if event.type is EventType.DELETED else self._keep(event.item)
            if old != new:
                self._put(key, new)
                self._on_change([Change(key, old, new)])
        self._version = event.version
        self._carried = True

    def _put(self, key: tuple[str, str], new: T | None) -> None:
        # One step per object: threads read while the event loop writes.
        if new is None:
            self._objects.pop(key, None)
        else:
            self._objects[key] = new

    def _heard(self) -> None:
        self._become(last_contact=self._clock.monotonic())

    def _well(self) -> None:
        if self._state.problem:
            _log.warning("%s is followed again", self._path)
        now, since = self._clock.monotonic(), self._state.followed_since
        self._become(
            last_contact=now,
            followed_since=now if since is None else since,
            problem=None,
            missing_right=False,
        )

    def _become(self, **differences: Any) -> None:
        before, self._state = self._state, replace(self._state, **differences)
        if before.followed_since != self._state.followed_since:
            self._on_followed()

    def _absent(self) -> None:
        self._failures += 1
        self._version = None
        if not self._state.absent:
            _log.info("%s: the API server serves no such kind; it is looked for again", self._path)
        self._heard()
        self._replace({})
        self._become(absent=True, followed_since=None, problem=None, missing_right=False)

    def _failed(self, error: ListWatchError) -> None:
        self._failures += 1
        if isinstance(error, ExpiredError) or self._failures >= _RELIST_AFTER:
            self._version = None
        self._become(followed_since=None)
        if isinstance(error, ExpiredError) and self._failures == 1:
            _log.info("%s: %s; it is listed again", self._path, error)
            return
        problem = f"{self._path} cannot be followed: {error}."
        denied = isinstance(error, DeniedError)
        if denied:
            named = self._selection.get("fieldSelector")
            what = f"it, for {named} only" if named else "it"
            problem += f" The server's own account needs the rights list and watch on {what}."
        if problem != self._state.problem:
            _log.warning("%s", problem)
        self._become(problem=problem, missing_right=denied)

    def _delay(self) -> float:
        """Doubles with every failure in a row, up to the longest; the random half spreads many servers."""
        doubled: float = self._timing.first_delay * 2 ** min(self._failures - 1, 16)
        return min(doubled, self._timing.longest_delay) * (0.5 + self._chance() / 2)
