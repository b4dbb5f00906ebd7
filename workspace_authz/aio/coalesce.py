"""Identical questions in flight are asked once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Coalescer(Generic[K, V]):
    """Runs one piece of work per key at a time and gives its result to everybody who asked meanwhile.

    The work runs in a task of its own: a caller that goes away does not cancel it for the others.
    It must therefore bound its own duration. ``joined`` counts those who found it running.
    """

    def __init__(self) -> None:
        self._running: dict[K, asyncio.Task[V]] = {}
        self.joined = 0

    async def share(self, key: K, work: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """The result, or the exception, of the work that is running for ``key``, started if there is none."""
        return await asyncio.shield(self.start(key, work))

    def start(self, key: K, work: Callable[[], Coroutine[Any, Any, V]]) -> asyncio.Task[V]:
        """As :meth:`share`, without waiting: for a refresh in the background."""
        task = self._running.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(work())
            self._running[key] = task
            task.add_done_callback(lambda done: self._finished(key, done))
        else:
            self.joined += 1
        return task

    def _finished(self, key: K, task: asyncio.Task[V]) -> None:
        self._running.pop(key, None)
        if not task.cancelled():
            # Marks the exception as seen: all callers may be gone by now.
            task.exception()

    def __len__(self) -> int:
        return len(self._running)
