"""Background tasks that must outlive their own mistakes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

_log = logging.getLogger(__name__)

_RESTART_SECONDS = 1.0


class Supervisor:
    """Keeps background tasks running until :meth:`close`; one that fails is logged and started again."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start ``work`` and, whenever it raises, start it again a second later."""
        task = asyncio.get_running_loop().create_task(self._keep(name, work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await work()
                return
            except Exception:  # noqa: BLE001 - the one place where a bug must not end a watch for good
                _log.exception("background task %s failed and is started again", name)
            await asyncio.sleep(_RESTART_SECONDS)

    async def close(self) -> None:
        """Cancel every task and wait until all have ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
