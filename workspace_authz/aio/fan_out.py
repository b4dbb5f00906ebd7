"""One piece of work for each of many items: concurrent, and bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def fan_out(items: Iterable[T], work: Callable[[T], Awaitable[R]], *, limit: int) -> list[R]:
    """The results of ``work`` for all ``items``, in the order of the items. At most ``limit`` run at a time.

    Raises what the first failing piece of work raised, and cancels the others.
    """
    given = list(items)
    if limit == 1 or len(given) < 2:
        return [await work(item) for item in given]
    waiting, results = iter(enumerate(given)), dict[int, R]()

    async def worker() -> None:
        for index, item in waiting:
            results[index] = await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(limit, len(given))):
                group.create_task(worker())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [results[index] for index in range(len(given))]
