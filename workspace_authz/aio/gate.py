"""A limit to how much is done at once, and to how much waits for that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """Lets ``places`` in at a time and ``waiting`` wait in line for a place."""

    def __init__(self, places: int, *, waiting: int) -> None:
        self._places = asyncio.Semaphore(places)
        self._room = places + waiting

    @asynccontextmanager
    async def entered(self, full: Exception) -> AsyncIterator[None]:
        """Hold a place for as long as the block lasts; raises ``full`` at once when the line is full, too."""
        if not self._room:
            raise full
        self._room -= 1
        try:
            async with self._places:
                yield
        finally:
            self._room += 1
