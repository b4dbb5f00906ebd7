"""The audit log: exactly one JSON line per request, written off the event loop.

A record holds the user, the operation, the workspace, each authorization question with its decision, and the
outcome. It never holds a token, a header, a query string or a body.
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

from workspace_authz.errors import ConfigurationError
from workspace_authz.settings.settings import Settings

_log = logging.getLogger(__name__)

Record = Mapping[str, Any]

_GATHER_SECONDS: Final = 0.05
_BATCH: Final = 100
"""Records per write. A write that fails loses at most this many."""

_encode: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class AuditSink(Protocol):
    """Accepts records without blocking."""

    @property
    def dropped(self) -> int:
        """The number of records that were lost: the queue was full, or a write failed."""

    def write(self, record: Record) -> None:
        """Enqueue one record. Never blocks and never raises."""

    def close(self) -> None:
        """Write the records in the queue, then stop."""


class NoAudit:
    """Discards every record."""

    dropped = 0

    def write(self, record: Record) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class QueuedAudit:
    """A bounded queue and one thread that writes it. Lost records are counted and reported in the log itself.

    ``emit`` writes whole lines. ``size`` bounds the queue. ``time`` stamps each record on arrival.
    The thread collects records for a moment and writes them in one system call. One system call per record
    would release the interpreter lock each time and wait to get it back from a thread that serves requests.
    """

    def __init__(
        self, emit: Callable[[bytes], None], *, size: int, time: Callable[[], float] = time.time
    ) -> None:
        self._emit = emit
        self._size = size
        self._time = time
        self._waiting: deque[tuple[float, Record]] = deque()
        self._rejected = 0
        """Records that found the queue full."""
        self._unwritten = 0
        """Records whose write failed."""
        self._reported = 0
        """How many of the dropped records have been reported."""
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="workspace-authz-audit", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """See :class:`AuditSink`."""
        return self._rejected + self._unwritten

    def write(self, record: Record) -> None:
        """See :class:`AuditSink`."""
        if len(self._waiting) >= self._size:
            self._rejected += 1
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
        unreported = self.dropped - self._reported
        if unreported and self._emitted([(self._time(), {"audit": "records dropped", "count": unreported})]):
            self._reported += unreported

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
    """Appends lines to a file that several workers share. Renames it to ``<path>.1`` at ``max_bytes``.

    ``max_bytes`` of 0 never renames. The constructor raises ``OSError`` when the file cannot be opened.
    """

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._file = self._open()

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __call__(self, lines: bytes) -> None:
        """Append whole lines in a single write, so that lines of several workers do not mix."""
        if self._max_bytes and os.fstat(self._file).st_size + len(lines) > self._max_bytes:
            self._rotate()
        _write_all(self._file, lines)

    def _rotate(self) -> None:
        lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Another worker may have renamed the file already. Then only the new one must be opened.
            ours = os.fstat(self._file)
            with suppress(FileNotFoundError):
                if os.path.samestat(ours, os.stat(self._path)):
                    os.replace(self._path, f"{self._path}.1")
            os.close(self._file)
            self._file = self._open()
        finally:
            os.close(lock)


def open_audit(sink: str, *, max_bytes: int, queue_size: int) -> AuditSink:
    """The sink that ``sink`` names: ``off``, ``stderr``, ``stdout`` or the path of a file.

    ``max_bytes`` is the size at which a file is rotated, ``queue_size`` the number of records that may wait.
    Raises ``OSError`` when the file cannot be opened.
    """
    match sink:
        case "off":
            return NoAudit()
        case "stderr" | "stdout":
            number = (sys.stderr if sink == "stderr" else sys.stdout).fileno()
            return QueuedAudit(lambda lines: _write_all(number, lines), size=queue_size)
        case _:
            return QueuedAudit(RotatingFile(Path(sink), max_bytes=max_bytes), size=queue_size)


def open_audit_sink(settings: Settings) -> AuditSink:
    """The sink of the settings. Raises :class:`ConfigurationError` when its file cannot be opened."""
    try:
        return open_audit(
            settings.audit_sink, max_bytes=settings.audit_max_bytes, queue_size=settings.audit_queue
        )
    except OSError as error:
        raise ConfigurationError(
            f"The audit file {settings.audit_sink} cannot be written: {error.strerror}."
        ) from error


def _write_all(number: int, lines: bytes) -> None:
    while lines:
        lines = lines[os.write(number, lines) :]
