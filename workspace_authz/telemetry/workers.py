"""The worker processes of one server, and how each of them is.

They share a directory that the ``mlflow server`` parent makes. Each worker takes a seat there, the lowest
that is free, and holds its lock for as long as it lives, so that a worker that was killed is missed at once.
A worker that replaces another takes its seat, and so counts on where that one stopped. Every second each
reports how it is; who has not done so for a while hangs.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Final

RUN_DIRECTORY: Final = "_WORKSPACE_AUTHZ_RUN_DIRECTORY"
WORKERS: Final = "_WORKSPACE_AUTHZ_WORKERS"
METRICS_DIRECTORY: Final = "PROMETHEUS_MULTIPROC_DIR"
"""prometheus_client's own. MLflow's exporter, if it is on, counts into the same place."""

REPORT_SECONDS: Final = 1.0
_HANGS_SECONDS: Final = 15.0
"""Generous: a process that is only short of CPU must not lose its traffic."""
_MOST_SEATS: Final = 1024
_METRICS: Final = "metrics"

Checks = Mapping[str, str | None]
"""By name of a check: None, or the problem as a sentence that names no namespace, user or secret."""


def make_run_directory(environ: MutableMapping[str, str], *, workers: int) -> None:
    """Make the directory for this process and those that it starts; it goes when this process ends."""
    directory = tempfile.mkdtemp(prefix="workspace-authz-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    metrics = Path(directory) / _METRICS
    metrics.mkdir()
    environ[RUN_DIRECTORY] = directory
    environ[METRICS_DIRECTORY] = str(metrics)
    environ[WORKERS] = str(workers)


def worker_registry_of(environ: Mapping[str, str]) -> WorkerRegistry:
    """The crew that this worker belongs to, after :func:`make_run_directory` in it or in its parent."""
    return WorkerRegistry(
        Path(environ[RUN_DIRECTORY]), expected=int(environ[WORKERS]), monotonic=time.monotonic
    )


@dataclass(frozen=True, slots=True)
class Report:
    """How one worker said it was."""

    seat: int
    checks: Checks


class WorkerSlot:
    """This worker's place. Made by :meth:`WorkerRegistry.join`."""

    def __init__(self, directory: Path, number: int, lock: int, *, monotonic: Callable[[], float]) -> None:
        self.number = number
        self._file = _report_file(directory, number)
        self._lock = lock
        self._monotonic = monotonic

    def report(self, checks: Checks) -> None:
        """Tell the others. Writes a small local file: some dozen microseconds."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps({"time": self._monotonic(), "checks": checks}))
        fresh.replace(self._file)

    def leave(self) -> None:
        """Give the seat back."""
        self._file.unlink(missing_ok=True)
        os.close(self._lock)


class WorkerRegistry:
    """All workers that share ``directory``; ``expected`` of them should be there.

    ``monotonic`` must be one clock for all processes, as the system's is.
    """

    def __init__(self, directory: Path, *, expected: int, monotonic: Callable[[], float]) -> None:
        self._directory = directory
        self.metrics = directory / _METRICS
        """Where the workers count."""
        self.expected = expected
        self._monotonic = monotonic

    def join(self) -> WorkerSlot:
        """Take the lowest free seat. Raises ``OSError``."""
        for number in range(_MOST_SEATS):
            lock = os.open(_lock_file(self._directory, number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # The last words of one that was killed would pass for ours.
                _report_file(self._directory, number).unlink(missing_ok=True)
                return WorkerSlot(self._directory, number, lock, monotonic=self._monotonic)
            os.close(lock)
        raise OSError("no seat is free")

    @contextmanager
    def empty_seats(self) -> Iterator[list[int]]:
        """Seats whose worker has gone. Nobody takes one of them before this context ends."""
        with ExitStack() as held:
            yield [number for number in self._seats() if held.enter_context(self._empty(number))]

    def reports(self) -> list[Report]:
        """What the workers say that are alive and do not hang."""
        return [report for report in map(self._report, self._seats()) if report is not None]

    def checks(self) -> dict[str, str | None]:
        """How the server is: a check fails when it fails in one worker, or when a worker is missing."""
        reports = self.reports()
        merged: dict[str, str | None] = {"workers": None}
        if len(reports) < self.expected:
            merged["workers"] = f"{len(reports)} of {self.expected} worker processes answer."
        for report in reports:
            for name, problem in report.checks.items():
                merged[name] = merged.get(name) or problem
        return merged

    def _seats(self) -> list[int]:
        return sorted(int(file.stem) for file in self._directory.glob("*.seat"))

    @contextmanager
    def _empty(self, number: int) -> Iterator[bool]:
        # A shared lock, so that those who look do not disturb each other. A worker that starts at this very
        # moment may find the seat taken and choose the next: that costs a file, nothing else.
        lock = os.open(_lock_file(self._directory, number), os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
        finally:
            os.close(lock)

    def _report(self, number: int) -> Report | None:
        with self._empty(number) as empty:
            if empty:
                return None
        try:
            document = json.loads(_report_file(self._directory, number).read_text())
        except FileNotFoundError:
            return None
        if self._monotonic() - document["time"] > _HANGS_SECONDS:
            return None
        return Report(number, document["checks"])


def _lock_file(directory: Path, number: int) -> Path:
    return directory / f"{number}.seat"


def _report_file(directory: Path, number: int) -> Path:
    return directory / f"{number}.json"
