"""The audit trail: exactly one JSON line per request, written off the event loop.

A record holds who asked what where, each question to Kubernetes with its answer, and what came of it.
It never holds a token, a header, a query or a body.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

_log = logging.getLogger(__name__)

Record = Mapping[str, Any]

_GATHER_SECONDS: Final = 0.05
_BATCH: Final = 100
"""Records in one write: so many are lost at most when it fails."""

_encode: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class AuditSink(Protocol):
    """Takes records without waiting."""

    @property
    def dropped(self) -> int:
        """How many records found the queue full or could not be written."""

    def write(self, record: Record) -> None:
        """Hand over one record; never blocks, never raises."""

    def close(self) -> None:
        """Write what is waiting and stop."""


class NoAudit:
    """Keeps nothing."""

    dropped = 0

    def write(self, record: Record) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class QueuedAudit:
    """A bounded queue and one thread that writes. Records that are lost are counted and reported.

    The thread gathers for a moment and then writes what is there at once: each system call of its own would
    give up the interpreter to a thread that serves, and get it back only when that one is made to pause.
    Each record gets the ``time`` at which it was handed over.
    """

    def __init__(
        self, emit: Callable[[bytes], None], *, size: int, time: Callable[[], float] = time.time
    ) -> None:
        self._emit = emit
        self._size = size
        self._time = time
        self._waiting: deque[tuple[float, Record]] = deque()
        self._refused = 0
        """Records that found the queue full."""
        self._unwritten = 0
        self._told = 0
        """How many of the dropped records have been reported."""
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="workspace-authz-audit", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """See :class:`AuditSink`."""
        return self._refused + self._unwritten

    def write(self, record: Record) -> None:
        """See :class:`AuditSink`."""
        if len(self._waiting) >= self._size:
            self._refused += 1
            return
        self._waiting.append((self._time(), record))
        if not self._wake.is_set():
            self._wake.set()

    def close(self) -> None:
        """See :class:`AuditSink`. Waits five seconds at most."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._closing.wait(_GATHER_SECONDS)
            self._wake.clear()
            self._drain()
        self._drain()

    def _drain(self) -> None:
        while self._waiting:
            count = min(len(self._waiting), _BATCH)
            records = [self._waiting.popleft() for _ in range(count)]
            if not self._emitted(records):
                self._unwritten += count
        untold = self.dropped - self._told
        if untold and self._emitted([(self._time(), {"audit": "records dropped", "count": untold})]):
            self._told += untold

    def _emitted(self, records: Sequence[tuple[float, Record]]) -> bool:
        try:
            self._emit(b"".join(_line(at, record) for at, record in records))
        except OSError as error:
            _log.error("%d audit records could not be written: %s", len(records), error.strerror)
            return False
        return True


def _line(at: float, record: Record) -> bytes:
    written = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return _encode({"time": written, **record}).encode() + b"\n"


class RotatingFile:
    """Appends lines to a file that several workers share, and moves it to ``<path>.1`` at ``max_bytes``."""

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._file = self._open()

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __call__(self, lines: bytes) -> None:
        """Append whole lines, as a single write, so that those of several workers do not mix."""
        if self._max_bytes and os.fstat(self._file).st_size + len(lines) > self._max_bytes:
            self._rotate()
        _write_all(self._file, lines)

    def _rotate(self) -> None:
        lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Another worker may have moved the file already; then there is only the new one to open.
            ours = os.fstat(self._file)
            with suppress(FileNotFoundError):
                if os.path.samestat(ours, os.stat(self._path)):
                    os.replace(self._path, f"{self._path}.1")
            os.close(self._file)
            self._file = self._open()
        finally:
            os.close(lock)


def open_audit(sink: str, *, max_bytes: int, queue_size: int) -> AuditSink:
    """The sink that a setting names: ``off``, ``stderr``, ``stdout`` or a file. Raises ``OSError``."""
    match sink:
        case "off":
            return NoAudit()
        case "stderr" | "stdout":
            number = (sys.stderr if sink == "stderr" else sys.stdout).fileno()
            return QueuedAudit(lambda lines: _write_all(number, lines), size=queue_size)
        case _:
            return QueuedAudit(RotatingFile(Path(sink), max_bytes=max_bytes), size=queue_size)


def _write_all(number: int, lines: bytes) -> None:
    while lines:
        lines = lines[os.write(number, lines) :]
