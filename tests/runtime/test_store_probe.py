"""Stores are asked in the background, and one that hangs holds up nobody."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from tests.harness.fakes import ManualClock
from tests.kubernetes.informer_server import until
from workspace_authz.runtime.store_probe import Pace, StoreProbe, StoreProbes

DATABASE = "The database"
AWAY = "The database does not answer."


class Store:
    """Answers as told, and may hang."""

    def __init__(self) -> None:
        self.problem: str | None = None
        self.asked = 0
        self.free = threading.Event()
        self.free.set()

    def ask(self) -> str | None:
        self.asked += 1
        self.free.wait()
        return self.problem


@pytest.fixture
def store() -> Store:
    return Store()


async def running(probe: StoreProbe, until_: Callable[[], bool]) -> None:
    task = asyncio.create_task(probe.run())
    try:
        await until(until_)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_store_is_a_problem_until_it_has_answered(store: Store, clock: ManualClock) -> None:
    probe = StoreProbe(store.ask, what=DATABASE, clock=clock)
    assert probe.problem == "The database has not been asked yet."
    store.problem = "It is not there."
    await running(probe, lambda: probe.problem == store.problem)
    assert (probe.obstacle, probe.note) == ("It is not there.", None)
    store.problem = None
    await running(probe, lambda: probe.problem is None)
    assert (probe.obstacle, probe.note) == (None, None)


async def test_one_that_has_answered_before_makes_a_note(store: Store, clock: ManualClock) -> None:
    """Given a bucket that was there, when it goes, then MLflow's other work goes on, and a note says so."""
    probe = StoreProbe(store.ask, what=DATABASE, clock=clock)
    probes = StoreProbes(artifacts=probe)
    assert probes.artifact_problem() is not None
    await running(probe, lambda: probe.problem is None)
    assert probes.notes() == []
    store.problem = "It does not answer."
    await running(probe, lambda: probe.problem is not None)
    assert (probes.artifact_problem(), probes.notes()) == (None, ["It does not answer."])


async def test_a_database_is_a_problem_whenever_it_is_away(store: Store, clock: ManualClock) -> None:
    well, probe = Store(), StoreProbe(store.ask, what=DATABASE, clock=clock)
    other = StoreProbe(well.ask, what=DATABASE, clock=clock)
    probes = StoreProbes([other, probe])
    await running(other, lambda: other.problem is None)
    await running(probe, lambda: probe.problem is None)
    assert probes.database_problem() is None
    store.problem = AWAY
    await running(probe, lambda: probe.problem is not None)
    assert probes.database_problem() == AWAY


async def test_one_that_hangs_is_away_and_holds_one_thread(store: Store, clock: ManualClock) -> None:
    """Given a store that takes a question and never answers, then it is not asked again before it does."""
    probe = StoreProbe(store.ask, what=DATABASE, clock=clock, pace=Pace(answer=0.01))
    await running(probe, lambda: probe.problem is None)
    asked = store.asked
    store.free.clear()
    try:
        await running(probe, lambda: probe.problem == AWAY and clock.slept[-3:] == [1.0] * 3)
        assert store.asked <= asked + 1  # the one that hangs may have been on its way already
    finally:
        store.free.set()
    await running(probe, lambda: probe.problem is None)


async def test_one_that_is_away_is_asked_more_often(store: Store, clock: ManualClock) -> None:
    probe = StoreProbe(store.ask, what=DATABASE, clock=clock)
    await running(probe, lambda: clock.slept[-1:] == [5.0])
    store.problem = AWAY
    await running(probe, lambda: clock.slept[-1:] == [1.0])
