"""Workers take slots, report their health, and are noticed when they die."""

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
def registry(tmp_path: Path, clock: ManualClock) -> WorkerRegistry:
    return WorkerRegistry(tmp_path, expected=2, monotonic=clock.monotonic)


def vacant(registry: WorkerRegistry) -> list[int]:
    with registry.vacant_slots() as slots:
        return slots


def test_each_worker_has_a_slot_of_its_own_and_a_successor_gets_the_free_one(
    registry: WorkerRegistry,
) -> None:
    first, second = registry.register(), registry.register()
    assert (first.number, second.number) == (0, 1)
    assert vacant(registry) == []
    first.release()
    assert vacant(registry) == [0]
    assert registry.register().number == 0


def test_a_vacant_slot_stays_vacant_while_its_metrics_are_cleared(registry: WorkerRegistry) -> None:
    registry.register().release()
    with registry.vacant_slots() as slots, registry.vacant_slots() as seen_by_another:
        assert slots == seen_by_another == [0]
        assert registry.register().number == 1


def test_a_server_is_healthy_when_all_its_workers_are(registry: WorkerRegistry) -> None:
    first, second = registry.register(), registry.register()
    assert registry.checks() == {"workers": "0 of 2 worker processes answer."}
    first.report({"namespaces": None})
    assert registry.checks() == {"workers": "1 of 2 worker processes answer.", "namespaces": None}
    second.report({"namespaces": "Not listed."})
    assert registry.checks() == {"workers": None, "namespaces": "Not listed."}
    second.report({"namespaces": None})
    assert registry.checks() == {"workers": None, "namespaces": None}


def test_a_dead_worker_is_noticed_at_once_and_its_last_report_does_not_count(
    registry: WorkerRegistry,
) -> None:
    first, second = registry.register(), registry.register()
    first.report({})
    second.report({"namespaces": "Not listed."})
    os.close(second._lock)  # as the kernel does when a process is killed
    assert registry.checks() == {"workers": "1 of 2 worker processes answer."}


def test_the_last_report_of_a_killed_worker_does_not_count_for_its_successor(
    registry: WorkerRegistry,
) -> None:
    first, second = registry.register(), registry.register()
    first.report({})
    second.report({})
    os.close(second._lock)
    successor = registry.register()
    assert successor.number == second.number
    assert registry.checks() == {"workers": "1 of 2 worker processes answer."}
    successor.report({})
    assert registry.checks() == {"workers": None}


def test_a_hung_worker_is_noticed_after_a_while(registry: WorkerRegistry, clock: ManualClock) -> None:
    first, second = registry.register(), registry.register()
    first.report({})
    second.report({})
    clock.advance(14)
    first.report({})
    assert registry.checks() == {"workers": None}
    clock.advance(2)
    assert registry.checks() == {"workers": "1 of 2 worker processes answer."}


def test_more_workers_than_expected_are_healthy(registry: WorkerRegistry) -> None:
    for _ in range(3):  # as while uvicorn replaces one after the other (SIGHUP)
        registry.register().report({})
    assert registry.checks() == {"workers": None}


def test_the_parent_names_the_run_directory_to_its_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    undone: list[tuple[object, ...]] = []
    monkeypatch.setattr("atexit.register", lambda *call, **_: undone.append(call))
    environ: dict[str, str] = {}
    make_run_directory(environ, workers=3)
    assert set(environ) == {RUN_DIRECTORY, METRICS_DIRECTORY, WORKERS}
    directory = Path(environ[RUN_DIRECTORY])
    assert directory.stat().st_mode & 0o077 == 0
    registry = worker_registry_of(environ)
    assert (registry.expected, str(registry.metrics_directory)) == (3, environ[METRICS_DIRECTORY])
    assert registry.metrics_directory.is_dir()
    ((remove, path),) = undone
    assert callable(remove)
    remove(path)
    assert not directory.exists()
