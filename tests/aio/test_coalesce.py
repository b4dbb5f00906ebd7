"""Identical questions in flight are asked once."""

from __future__ import annotations

import asyncio

import pytest

from tests.harness.fakes import run_pending
from workspace_authz.aio.coalesce import Coalescer


class Work:
    """Counts its runs and waits to be let through."""

    def __init__(self) -> None:
        self.runs = 0
        self.gate = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.runs += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.runs


@pytest.fixture
def shared() -> Coalescer[str, int]:
    return Coalescer()


async def test_everybody_who_asks_meanwhile_gets_the_one_result(shared: Coalescer[str, int]) -> None:
    work = Work()
    waiting = [asyncio.create_task(shared.share("k", work)) for _ in range(5)]
    await run_pending()
    assert len(shared) == 1
    work.gate.set()
    assert await asyncio.gather(*waiting) == [1] * 5
    assert work.runs == 1
    assert shared.coalesced == 4


async def test_a_later_question_is_asked_again(shared: Coalescer[str, int]) -> None:
    work = Work()
    work.gate.set()
    assert await shared.share("k", work) == 1
    await run_pending()
    assert len(shared) == 0
    assert await shared.share("k", work) == 2


async def test_different_questions_do_not_wait_for_each_other(shared: Coalescer[str, int]) -> None:
    slow, fast = Work(), Work()
    fast.gate.set()
    waiting = asyncio.create_task(shared.share("slow", slow))
    assert await shared.share("fast", fast) == 1
    assert not waiting.done()
    slow.gate.set()
    await waiting


async def test_a_cancelled_caller_does_not_cancel_the_others(shared: Coalescer[str, int]) -> None:
    work = Work()
    first = asyncio.create_task(shared.share("k", work))
    second = asyncio.create_task(shared.share("k", work))
    await run_pending()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    work.gate.set()
    assert await second == 1
    assert work.runs == 1


async def test_everybody_gets_the_error_and_the_next_question_starts_anew(
    shared: Coalescer[str, int],
) -> None:
    work = Work()
    work.error = ValueError("no")
    waiting = [asyncio.create_task(shared.share("k", work)) for _ in range(2)]
    await run_pending()
    work.gate.set()
    assert [type(error) for error in await asyncio.gather(*waiting, return_exceptions=True)] == [
        ValueError
    ] * 2
    await run_pending()
    work.error = None
    assert await shared.share("k", work) == 2


async def test_an_error_that_nobody_waits_for_is_not_reported_as_lost(shared: Coalescer[str, int]) -> None:
    # asyncio would complain through the loop's exception handler once the task is collected.
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    work = Work()
    work.error = ValueError("no")
    work.gate.set()
    shared.start("k", work)
    await run_pending()
    assert len(shared) == 0
    assert complaints == []
