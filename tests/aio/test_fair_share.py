"""No caller and no workspace uses up the places of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from workspace_authz.aio.fair_share import FairShare, Shares

FULL = RuntimeError("full")


class Play:
    """Requests that run until they are told to end."""

    def __init__(self, *, total: int = 4, caller: int = 2, workspace: int = 3, waiting: int = 2) -> None:
        self.share = FairShare(
            Shares(total=total, caller=caller, workspace=workspace, waiting=waiting, waiting_seconds=30)
        )
        self.running: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def _request(self, name: str, caller: str, workspace: str | None) -> None:
        async with self.share.place(FULL, caller=caller, workspace=workspace):
            self.running.append(name)
            await self.ends[name].wait()
            self.running.remove(name)

    async def start(self, name: str, *, caller: str, workspace: str | None = "a") -> None:
        self.ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._request(name, caller, workspace))
        await settled()

    async def end(self, name: str) -> None:
        self.ends[name].set()
        await settled()

    @contextmanager
    def nothing_left(self) -> Iterator[None]:
        yield
        assert (self.share.running, self.share.waiting) == (0, 0)
        assert not self.share._callers
        assert not self.share._workspaces


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_caller_has_a_share_and_the_next_request_waits_for_it() -> None:
    play = Play()
    with play.nothing_left():
        for number in range(3):
            await play.start(f"x{number}", caller="x")
        await play.start("y", caller="y")
        assert play.running == ["x0", "x1", "y"]
        assert play.share.waiting == 1
        await play.end("x0")
        assert play.running == ["x1", "y", "x2"]
        for name in ("x1", "x2", "y"):
            await play.end(name)


async def test_a_workspace_has_a_share_whoever_asks() -> None:
    play = Play()
    with play.nothing_left():
        for number in range(4):
            await play.start(f"a{number}", caller=f"c{number}", workspace="a")
        await play.start("b", caller="c0", workspace="b")
        await play.start("none", caller="c1", workspace=None)
        assert play.running == ["a0", "a1", "a2", "b"]  # and the total is used up
        for name in ("a0", "a1", "a2", "a3", "b", "none"):
            await play.end(name)


async def test_a_free_place_goes_to_the_workspace_with_the_fewest() -> None:
    play = Play(total=3, caller=3)
    for number in range(3):
        await play.start(f"a{number}", caller="x", workspace="a")
    await play.start("a3", caller="other", workspace="a")
    await play.start("b", caller="y", workspace="b")
    await play.end("a0")
    assert play.running == ["a1", "a2", "b"]


async def test_more_than_may_wait_are_refused_at_once_and_others_are_not() -> None:
    play = Play()
    for number in range(5):
        await play.start(f"x{number}", caller="x")
    with pytest.raises(RuntimeError, match="full"):
        await play.tasks["x4"]
    assert play.share.refused == 1
    await play.start("y", caller="y", workspace="b")
    assert "y" in play.running


async def test_a_workspace_has_a_queue_of_its_own_length() -> None:
    play = Play(waiting=1, workspace=1)
    for number in range(4):
        await play.start(f"a{number}", caller=f"c{number}")
    with pytest.raises(RuntimeError, match="full"):
        await play.tasks["a3"]
    assert play.share.waiting == 2


async def test_who_waits_too_long_is_refused() -> None:
    share = FairShare(Shares(total=1, caller=1, workspace=1, waiting=1, waiting_seconds=0.01))
    async with share.place(FULL, caller="x", workspace="a"):
        with pytest.raises(RuntimeError, match="full"):
            async with share.place(FULL, caller="y", workspace="b"):
                raise AssertionError("there is no place")
        assert (share.running, share.waiting, share.refused) == (1, 0, 1)
    async with share.place(FULL, caller="y", workspace="b"):
        assert share.running == 1


async def test_a_client_that_goes_away_leaves_the_queue_or_hands_its_place_on() -> None:
    play = Play(total=1, caller=1, workspace=1)
    with play.nothing_left():
        for name in ("x", "y", "z"):
            await play.start(name, caller=name)
        play.tasks["y"].cancel()
        await settled()
        assert play.share.waiting == 1
        play.ends["x"].set()
        # x ends and admits z; z goes away before it runs.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        play.tasks["z"].cancel()
        await settled()
