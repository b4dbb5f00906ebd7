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
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

_log = logging.getLogger(__name__)

Record = Mapping[str, Any]

_GATHER_SECONDS: Final = 0.05


class AuditSink(Protocol):
    """Takes records without waiting."""

    @property
    def dropped(self) -> int:
        """How many records found the queue full."""

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
    """A bounded queue and one thread that writes. Records that find it full are counted and reported.

    The thread gathers for a moment before it writes, so that a request costs no switch of threads.
    """

    def __init__(self, emit: Callable[[bytes], None], *, size: int) -> None:
        self._emit = emit
        self._size = size
        self._waiting: deque[Record] = deque()
        self.dropped = 0
        self._told = 0
        """How many of the dropped records have been reported."""
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="workspace-authz-audit", daemon=True)
        self._thread.start()

    def write(self, record: Record) -> None:
        """See :class:`AuditSink`."""
        if len(self._waiting) >= self._size:
            self.dropped += 1
            return
        self._waiting.append(record)
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

    def _drain(self) -> None:
        untold = self.dropped - self._told
        if untold:
            self._told += untold
            self._write_one({"audit": "records dropped", "count": untold})
        while self._waiting:
            self._write_one(self._waiting.popleft())

    def _write_one(self, record: Record) -> None:
        try:
            self._emit(_line(record))
        except OSError as error:
            _log.error("an audit record could not be written: %s", error.strerror)


def _line(record: Record) -> bytes:
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


class RotatingFile:
    """Appends lines to a file that several workers share, and moves it to ``<path>.1`` at ``max_bytes``."""

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._file = self._open()

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __call__(self, line: bytes) -> None:
        """Append one line, as a single write, so that lines of several workers do not mix."""
        if self._max_bytes and os.fstat(self._file).st_size + len(line) > self._max_bytes:
            self._rotate()
        os.write(self._file, line)

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
            return QueuedAudit(lambda line: _write_all(number, line), size=queue_size)
        case _:
            return QueuedAudit(RotatingFile(Path(sink), max_bytes=max_bytes), size=queue_size)


def _write_all(number: int, line: bytes) -> None:
    while line:
        line = line[os.write(number, line) :]
