"""A gate: so many at once, so many in line, and nobody else."""

from __future__ import annotations

import asyncio

import pytest

from tests.harness.fakes import run_pending
from workspace_authz.aio.gate import Gate


class FullError(Exception):
    pass


class Crowd:
    """Tasks that enter a gate and stay until told to go."""

    def __init__(self, gate: Gate) -> None:
        self.gate, self.inside, self.most, self.go = gate, 0, 0, asyncio.Event()

    async def enter(self) -> None:
        async with self.gate.entered(FullError()):
            self.inside += 1
            self.most = max(self.most, self.inside)
            await self.go.wait()
            self.inside -= 1


async def test_no_more_are_inside_than_there_are_places() -> None:
    crowd = Crowd(Gate(2, waiting=3))
    tasks = [asyncio.create_task(crowd.enter()) for _ in range(5)]
    await run_pending()
    assert crowd.inside == 2
    crowd.go.set()
    await asyncio.gather(*tasks)
    assert crowd.most == 2


async def test_who_finds_the_line_full_is_turned_away_at_once() -> None:
    crowd = Crowd(Gate(1, waiting=1))
    tasks = [asyncio.create_task(crowd.enter()) for _ in range(2)]
    await run_pending()
    with pytest.raises(FullError):
        await crowd.enter()
    crowd.go.set()
    await asyncio.gather(*tasks)
    await crowd.enter()


async def test_who_gives_up_waiting_leaves_the_line() -> None:
    crowd = Crowd(Gate(1, waiting=1))
    inside, waiting = [asyncio.create_task(crowd.enter()) for _ in range(2)]
    await run_pending()
    waiting.cancel()
    await run_pending()
    after = asyncio.create_task(crowd.enter())
    await run_pending()
    crowd.go.set()
    await asyncio.gather(inside, after)
