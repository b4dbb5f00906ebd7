"""A limit on concurrency, with a bounded queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """Admits ``places`` callers at a time and lets at most ``waiting`` more wait for a place."""

    def __init__(self, places: int, *, waiting: int) -> None:
        self._places = asyncio.Semaphore(places)
        self._room = places + waiting

    @asynccontextmanager
    async def entered(self, full: Exception) -> AsyncIterator[None]:
        """Hold a place while the block runs. Raises ``full`` at once when the queue is full too."""
        if not self._room:
            raise full
        self._room -= 1
        try:
            async with self._places:
                yield
        finally:
            self._room += 1
