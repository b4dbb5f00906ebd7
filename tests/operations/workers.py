"""The worker processes of a server that runs, from Linux' ``/proc``."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.harness.server import MlflowServer

PATIENT: Final = "--timeout-worker-healthcheck 60"
"""An option of uvicorn's, which ends a worker that says nothing for 5 seconds unless it is told otherwise."""


def workers(server: MlflowServer) -> list[int]:
    """Process ids of uvicorn's workers."""
    return [pid for pid in _descendants(server.process.process.pid) if "spawn_main" in _command(pid)]


@contextmanager
def only(server: MlflowServer, worker: int) -> Iterator[None]:
    """Let one worker serve and stop the others, for less than uvicorn waits for them (:data:`PATIENT`)."""
    others = [pid for pid in workers(server) if pid != worker]
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    try:
        server.close()
        yield
    finally:
        server.close()
        for pid in others:
            os.kill(pid, signal.SIGCONT)


def _descendants(pid: int) -> Iterator[int]:
    for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        yield child
        yield from _descendants(child)


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()
