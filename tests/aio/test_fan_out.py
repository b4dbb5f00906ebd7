"""Work for many items: in their order, bounded, whole or an error."""

from __future__ import annotations

import asyncio

import pytest

from tests.harness.fakes import run_pending
from workspace_authz.aio.fan_out import fan_out


@pytest.mark.parametrize("limit", [1, 2, 100])
@pytest.mark.parametrize("number", [0, 1, 2, 7])
async def test_results_come_in_the_order_of_the_items(limit: int, number: int) -> None:
    async def work(item: int) -> int:
        for _ in range(number - item):  # the first takes longest
            await asyncio.sleep(0)
        return -item

    assert await fan_out(iter(range(number)), work, limit=limit) == [-item for item in range(number)]


@pytest.mark.parametrize("limit", [1, 3])
async def test_no_more_than_the_limit_run_at_a_time(limit: int) -> None:
    begun, end = list[int](), asyncio.Event()

    async def work(item: int) -> None:
        begun.append(item)
        await end.wait()

    running = asyncio.create_task(fan_out(range(5), work, limit=limit))
    await run_pending()
    assert begun == list(range(limit))
    end.set()
    await running
    assert begun == list(range(5))


async def test_the_first_failure_is_raised_and_ends_the_others() -> None:
    ended: list[int] = []

    async def work(item: int) -> None:
        if item == 1:
            raise LookupError("one")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(item)

    with pytest.raises(LookupError, match="one"):
        await fan_out(range(9), work, limit=3)
    assert sorted(ended) == [0, 2]  # a task group ends its tasks in no order


async def test_cancelling_ends_all() -> None:
    ended: list[int] = []

    async def work(item: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(item)

    running = asyncio.create_task(fan_out(range(9), work, limit=3))
    await run_pending()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert sorted(ended) == [0, 1, 2]
