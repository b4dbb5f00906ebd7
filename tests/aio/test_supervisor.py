"""Background tasks survive their own mistakes and end when told."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.harness.fakes import run_pending
from workspace_authz.aio.supervisor import Supervisor


async def test_a_task_that_fails_is_logged_and_started_again(caplog: pytest.LogCaptureFixture) -> None:
    supervisor = Supervisor()
    again = asyncio.Event()
    runs: list[int] = []

    async def work() -> None:
        runs.append(1)
        if len(runs) == 1:
            raise ValueError("a bug")
        again.set()
        await asyncio.Event().wait()

    with caplog.at_level(logging.ERROR):
        supervisor.run("watch", work)
        async with asyncio.timeout(10):
            await again.wait()
    assert "background task watch failed" in caplog.text
    await supervisor.close()
    assert len(runs) == 2


async def test_a_task_that_returns_is_done() -> None:
    supervisor = Supervisor()
    runs: list[int] = []

    async def work() -> None:
        runs.append(1)

    supervisor.run("once", work)
    await run_pending()
    await supervisor.close()
    assert runs == [1]


async def test_close_waits_until_every_task_has_cleaned_up() -> None:
    supervisor = Supervisor()
    cleaned: list[str] = []

    async def work(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(name)

    supervisor.run("a", lambda: work("a"))
    supervisor.run("b", lambda: work("b"))
    await run_pending()
    await supervisor.close()
    assert sorted(cleaned) == ["a", "b"]
