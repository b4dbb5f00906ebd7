"""Connections of a test's own event loop, at its end."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import Final

_SECONDS: Final = 40.0
"""asyncio itself gives up after 30 (``ssl_shutdown_timeout``)."""


async def farewells() -> None:
    """Wait until every connection of this loop is closed.

    Over TLS a connection waits for the other end's farewell. A loop that ends before leaves it to the garbage
    collector, whose warning then fails whichever test comes next.
    """
    loop = asyncio.get_running_loop()
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline and any(  # noqa: ASYNC110 - asyncio tells nobody when it is over
        isinstance(each, asyncio.Transport)
        and getattr(each, "_loop", None) is loop
        and (socket := each.get_extra_info("socket")) is not None
        and socket.fileno() != -1
        for each in gc.get_objects()
    ):
        await asyncio.sleep(0.05)
