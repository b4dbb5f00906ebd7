"""The registry of one server's worker processes, and the health that each of them reports.

All workers share a directory that the ``mlflow server`` parent makes. Each worker takes a slot there, the
lowest that is free, and locks the slot's file for as long as it lives. The kernel releases the lock when the
process is killed, so a dead worker is noticed at once. A worker that replaces another takes the same slot and
continues its counters. Every worker writes a report once a second; one that stops writing is treated as hung.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

RUN_DIRECTORY: Final = "_WORKSPACE_AUTHZ_RUN_DIRECTORY"
WORKERS: Final = "_WORKSPACE_AUTHZ_WORKERS"
METRICS_DIRECTORY: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that ``prometheus_client`` reads. MLflow's exporter, if enabled, writes there too."""

REPORT_SECONDS: Final = 1.0
_HUNG_SECONDS: Final = 15.0
"""Long enough that a process which is only short of CPU keeps its traffic."""
_MAX_SLOTS: Final = 1024
_METRICS: Final = "metrics"

Checks = Mapping[str, str | None]
"""By name of a check: None, or the problem as a sentence that names no namespace, user or secret."""


def make_run_directory(environ: MutableMapping[str, str], *, workers: int) -> None:
    """Make the directory for this process and its children, and name it in ``environ``.

    The directory is removed when this process ends. ``workers`` is the number of workers to be started.
    """
    directory = tempfile.mkdtemp(prefix="workspace-authz-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    metrics = Path(directory) / _METRICS
    metrics.mkdir()
    environ[RUN_DIRECTORY] = directory
    environ[METRICS_DIRECTORY] = str(metrics)
    environ[WORKERS] = str(workers)


def worker_registry_of(environ: Mapping[str, str]) -> WorkerRegistry:
    """The registry of this server. :func:`make_run_directory` must have filled ``environ`` before."""
    return WorkerRegistry(
        Path(environ[RUN_DIRECTORY]), expected=int(environ[WORKERS]), monotonic=time.monotonic
    )


class WorkerSlot:
    """The place of one worker in the registry. Made by :meth:`WorkerRegistry.register`."""

    def __init__(self, directory: Path, number: int, *, lock: int, monotonic: Callable[[], float]) -> None:
        self.number = number
        self._file = _report_file(directory, number)
        self._lock = lock
        self._monotonic = monotonic

    def report(self, checks: Checks) -> None:
        """Publish the health of this worker. Writes one small local file, which takes about 50 µs."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps({"time": self._monotonic(), "checks": checks}))
        fresh.replace(self._file)

    def release(self) -> None:
        """Make the slot free for another worker."""
        self._file.unlink(missing_ok=True)
        os.close(self._lock)


class WorkerRegistry:
    """All workers that share ``directory``. ``expected`` is the number that should be alive.

    ``monotonic`` must be the same clock in all processes, as the system's is.
    """

    def __init__(self, directory: Path, *, expected: int, monotonic: Callable[[], float]) -> None:
        self._directory = directory
        self.metrics_directory = directory / _METRICS
        """Where each worker writes its metrics."""
        self.expected = expected
        self._monotonic = monotonic

    def register(self) -> WorkerSlot:
        """Take the lowest free slot. Raises ``OSError`` when none is free or the directory is unusable."""
        for number in range(_MAX_SLOTS):
            lock = os.open(_lock_file(self._directory, number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # A killed worker leaves its last report, which must not be taken for this worker's.
                _report_file(self._directory, number).unlink(missing_ok=True)
                return WorkerSlot(self._directory, number, lock=lock, monotonic=self._monotonic)
            os.close(lock)
        raise OSError("no worker slot is free")

    @contextmanager
    def vacant_slots(self) -> Iterator[list[int]]:
        """The slots whose worker has ended. No worker can take one of them before this context ends."""
        with ExitStack() as locks:
            yield [number for number in self._slots() if locks.enter_context(self._vacant(number))]

    def checks(self) -> dict[str, str | None]:
        """The health of the whole server.

        A check fails when it fails in any worker. The check ``workers`` fails when a worker is missing.
        """
        reports = [report for report in map(self._report, self._slots()) if report is not None]
        merged: dict[str, str | None] = {"workers": None}
        if len(reports) < self.expected:
            merged["workers"] = f"{len(reports)} of {self.expected} worker processes answer."
        for report in reports:
            for name, problem in report.items():
                merged[name] = merged.get(name) or problem
        return merged

    def _slots(self) -> list[int]:
        return sorted(int(file.stem) for file in self._directory.glob("*.slot"))

    @contextmanager
    def _vacant(self, number: int) -> Iterator[bool]:
        # The lock is shared, so that several readers do not disturb each other. A worker that starts at this
        # moment may find the slot locked and take the next one. The only cost is one more file.
        lock = os.open(_lock_file(self._directory, number), os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
        finally:
            os.close(lock)

    def _report(self, number: int) -> Checks | None:
        """The last report of a live worker; None when it is dead, hung or has not reported yet."""
        with self._vacant(number) as vacant:
            if vacant:
                return None
        try:
            document = json.loads(_report_file(self._directory, number).read_text())
        except FileNotFoundError:
            return None
        if self._monotonic() - document["time"] > _HUNG_SECONDS:
            return None
        checks: Checks = document["checks"]
        return checks


def _lock_file(directory: Path, number: int) -> Path:
    return directory / f"{number}.slot"


def _report_file(directory: Path, number: int) -> Path:
    return directory / f"{number}.json"
