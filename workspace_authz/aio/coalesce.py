"""Shares one piece of work among all who ask for it at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Coalescer(Generic[K, V]):
    """Runs at most one piece of work per key at a time and gives its result to all callers of that key.

    The work runs in a task of its own, so a cancelled caller does not cancel it for the others. The work must
    therefore bound its own duration. ``coalesced`` counts the callers that found the work running already.
    """

    def __init__(self) -> None:
        self._running: dict[K, asyncio.Task[V]] = {}
        self.coalesced = 0

    async def share(self, key: K, work: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """Wait for the work that is running for ``key``; start ``work`` when there is none.

        Returns its result, or raises its exception.
        """
        return await asyncio.shield(self.start(key, work))

    def start(self, key: K, work: Callable[[], Coroutine[Any, Any, V]]) -> asyncio.Task[V]:
        """The same without waiting: for a refresh in the background."""
        task = self._running.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(work())
            self._running[key] = task
            task.add_done_callback(lambda done: self._finished(key, done))
        else:
            self.coalesced += 1
        return task

    def _finished(self, key: K, task: asyncio.Task[V]) -> None:
        self._running.pop(key, None)
        if not task.cancelled():
            # Retrieve the exception, or asyncio logs it when all callers have been cancelled.
            task.exception()

    def __len__(self) -> int:
        return len(self._running)
