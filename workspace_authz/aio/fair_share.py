"""A limit on concurrency that no single caller and no single group can use up."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """How many may run at the same time, and how many may wait."""

    total: int
    caller: int
    """Of one caller."""
    workspace: int
    """Of one workspace."""
    waiting: int
    """Waiting requests of one caller; one workspace may have twice as many."""
    waiting_seconds: float


@dataclass(slots=True, eq=False)
class _Waiter:
    caller: str
    workspace: str | None
    admitted: asyncio.Event = field(default_factory=asyncio.Event)


class FairShare:
    """Admits requests as :class:`Shares` say. Use it from one event loop only.

    A place that becomes free goes to the waiting request whose workspace has the fewest running, then to the
    one whose caller has the fewest, then to the one that came first.
    """

    def __init__(self, shares: Shares) -> None:
        self.shares = shares
        self.running = 0
        """Requests that hold a place now."""
        self.refused = 0
        """Requests that got none, since the start."""
        self._waiters: list[_Waiter] = []
        self._callers: Counter[str] = Counter()
        self._workspaces: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        """Requests that wait for a place now."""
        return len(self._waiters)

    @asynccontextmanager
    async def place(self, full: Exception, *, caller: str, workspace: str | None) -> AsyncIterator[None]:
        """Hold a place while the block runs. ``workspace`` is None for a request in no workspace.

        Raises ``full`` when too many wait already, or when no place became free in time.
        """
        waiter = _Waiter(caller, workspace)
        if self._may_run(waiter):
            self._start(waiter)
        else:
            await self._wait(waiter, full)
        try:
            yield
        finally:
            self._end(waiter)

    async def _wait(self, waiter: _Waiter, full: Exception) -> None:
        if not self._may_wait(waiter):
            self.refused += 1
            raise full
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(self.shares.waiting_seconds):
                await waiter.admitted.wait()
        except TimeoutError:
            self._give_up(waiter)
            self.refused += 1
            raise full from None
        except asyncio.CancelledError:
            self._give_up(waiter)
            raise

    def _give_up(self, waiter: _Waiter) -> None:
        """Leave the queue, or hand the place on that came at the same moment."""
        if waiter.admitted.is_set():
            self._end(waiter)
        else:
            self._waiters.remove(waiter)

    def _may_wait(self, waiter: _Waiter) -> bool:
        most = self.shares.waiting
        if sum(other.caller == waiter.caller for other in self._waiters) >= most:
            return False
        if waiter.workspace is None:
            return True
        return sum(other.workspace == waiter.workspace for other in self._waiters) < 2 * most

    def _may_run(self, waiter: _Waiter) -> bool:
        shares = self.shares
        if self.running >= shares.total or self._callers[waiter.caller] >= shares.caller:
            return False
        return waiter.workspace is None or self._workspaces[waiter.workspace] < shares.workspace

    def _start(self, waiter: _Waiter) -> None:
        self.running += 1
        self._callers[waiter.caller] += 1
        if waiter.workspace is not None:
            self._workspaces[waiter.workspace] += 1
        waiter.admitted.set()

    def _end(self, waiter: _Waiter) -> None:
        self.running -= 1
        _decrease(self._callers, waiter.caller)
        if waiter.workspace is not None:
            _decrease(self._workspaces, waiter.workspace)
        self._admit()

    def _admit(self) -> None:
        while ready := [waiter for waiter in self._waiters if self._may_run(waiter)]:
            chosen = min(ready, key=self._load)
            self._waiters.remove(chosen)
            self._start(chosen)

    def _load(self, waiter: _Waiter) -> tuple[int, int]:
        workspace = self._workspaces[waiter.workspace] if waiter.workspace is not None else 0
        return workspace, self._callers[waiter.caller]


def _decrease(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
