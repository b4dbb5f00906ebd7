"""Workers take seats, say how they are, and are missed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.harness.fakes import ManualClock
from workspace_authz.telemetry.workers import (
    METRICS_DIRECTORY,
    RUN_DIRECTORY,
    WORKERS,
    WorkerRegistry,
    make_run_directory,
    worker_registry_of,
)


@pytest.fixture
def crew(tmp_path: Path, clock: ManualClock) -> WorkerRegistry:
    return WorkerRegistry(tmp_path, expected=2, monotonic=clock.monotonic)


def empty(crew: WorkerRegistry) -> list[int]:
    with crew.empty_seats() as seats:
        return seats


def test_each_worker_has_a_seat_of_its_own_and_a_successor_gets_the_free_one(crew: WorkerRegistry) -> None:
    first, second = crew.join(), crew.join()
    assert (first.number, second.number) == (0, 1)
    assert empty(crew) == []
    first.leave()
    assert empty(crew) == [0]
    assert crew.join().number == 0


def test_an_empty_seat_stays_empty_while_somebody_clears_it(crew: WorkerRegistry) -> None:
    crew.join().leave()
    with crew.empty_seats() as seats, crew.empty_seats() as seen_by_another:
        assert seats == seen_by_another == [0]
        assert crew.join().number == 1


def test_a_server_is_well_when_all_its_workers_are(crew: WorkerRegistry) -> None:
    first, second = crew.join(), crew.join()
    assert crew.checks() == {"workers": "0 of 2 worker processes answer."}
    first.report({"namespaces": None})
    assert crew.checks() == {"workers": "1 of 2 worker processes answer.", "namespaces": None}
    second.report({"namespaces": "Not listed."})
    assert crew.checks() == {"workers": None, "namespaces": "Not listed."}
    second.report({"namespaces": None})
    assert crew.checks() == {"workers": None, "namespaces": None}


def test_who_has_died_is_missed_at_once_and_its_last_words_do_not_count(crew: WorkerRegistry) -> None:
    first, second = crew.join(), crew.join()
    first.report({})
    second.report({"namespaces": "Not listed."})
    os.close(second._lock)  # as the kernel does when a process is killed
    assert crew.checks() == {"workers": "1 of 2 worker processes answer."}


def test_a_successor_is_not_taken_for_well_by_the_last_words_of_one_that_was_killed(
    crew: WorkerRegistry,
) -> None:
    first, second = crew.join(), crew.join()
    first.report({})
    second.report({})
    os.close(second._lock)
    successor = crew.join()
    assert successor.number == second.number
    assert crew.checks() == {"workers": "1 of 2 worker processes answer."}
    successor.report({})
    assert crew.checks() == {"workers": None}


def test_who_hangs_is_missed_after_a_while(crew: WorkerRegistry, clock: ManualClock) -> None:
    first, second = crew.join(), crew.join()
    first.report({})
    second.report({})
    clock.advance(14)
    first.report({})
    assert crew.checks() == {"workers": None}
    clock.advance(2)
    assert crew.checks() == {"workers": "1 of 2 worker processes answer."}


def test_one_more_than_expected_is_well(crew: WorkerRegistry) -> None:
    for _ in range(3):  # as while uvicorn replaces one after the other (SIGHUP)
        crew.join().report({})
    assert crew.checks() == {"workers": None}


def test_the_parent_tells_its_workers_where_to_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    undone: list[tuple[object, ...]] = []
    monkeypatch.setattr("atexit.register", lambda *call, **_: undone.append(call))
    environ: dict[str, str] = {}
    make_run_directory(environ, workers=3)
    assert set(environ) == {RUN_DIRECTORY, METRICS_DIRECTORY, WORKERS}
    directory = Path(environ[RUN_DIRECTORY])
    assert directory.stat().st_mode & 0o077 == 0
    crew = worker_registry_of(environ)
    assert (crew.expected, str(crew.metrics)) == (3, environ[METRICS_DIRECTORY])
    assert crew.metrics.is_dir()
    ((remove, path),) = undone
    assert callable(remove)
    remove(path)
    assert not directory.exists()
