"""A running informer over the test's API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tests.kubernetes.informer_server import PATH, ApiServer, FastClock
from workspace_authz.kubernetes.informer import Informer
from workspace_authz.kubernetes.informer_state import Change, Timing
from workspace_authz.kubernetes.listwatch_answers import JsonObject


@dataclass(slots=True)
class Informing:
    """The informer and what it told. It keeps each object's color."""

    informer: Informer[str]
    clock: FastClock
    task: asyncio.Task[None]
    batches: list[Sequence[Change[str]]] = field(default_factory=list)
    followed: list[float | None] = field(default_factory=list)
    """Each value of ``followed_since`` that it told."""


def keep_color(item: JsonObject) -> str | None:
    """None of what is to be dropped."""
    color = str(item["metadata"].get("color", "none"))
    return None if color == "drop" else color


@asynccontextmanager
async def informing(server: ApiServer, **options: Any) -> AsyncIterator[Informing]:
    """Run an informer, and cancel it at the end. Its clock does not wait."""
    clock = FastClock()
    connection = server.connection()
    batches: list[Sequence[Change[str]]] = []
    options.setdefault("timing", Timing())
    options.setdefault("chance", lambda: 1.0)
    followed: list[float | None] = []
    informer = Informer(
        connection,
        PATH,
        keep=keep_color,
        on_change=batches.append,
        on_followed=lambda: followed.append(informer.state.followed_since),
        clock=clock,
        **options,
    )
    task = asyncio.create_task(informer.run())
    try:
        yield Informing(informer, clock, task, batches, followed)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await connection.close()
