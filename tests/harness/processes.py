"""Real processes: started with a log, ended with everything that they started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
"""Those of the environment that runs the tests."""
_POLL_SECONDS = 0.05
_STOP_SECONDS = 15.0

_NOT_INHERITED = (
    *("MLFLOW_", "_MLFLOW_", "WORKSPACE_AUTHZ_", "_WORKSPACE_AUTHZ_"),
    *("KUBECONFIG", "KUBERNETES_", "PROMETHEUS_"),
)
_NEEDED = ("WORKSPACE_AUTHZ_CACHE",)
"""Where the binaries of the real control plane are."""


@dataclass(frozen=True, slots=True)
class Running:
    """A process in a group of its own, and where its output goes."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> str:
        """What it has written so far, on both streams."""
        return self.log.read_text(errors="replace")

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Return once ``ready`` says so. Raises ``AssertionError`` with the log otherwise."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.process.poll() is not None:
                raise AssertionError(f"it ended with status {self.process.returncode}:\n{self.output}")
            if time.monotonic() > deadline:
                raise AssertionError(f"it was not ready after {seconds} s:\n{self.output}")
            time.sleep(_POLL_SECONDS)

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the process and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def stop(self) -> None:
        """End it and all that it started."""
        self.signal_group(signal.SIGCONT)
        self.signal_group(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_STOP_SECONDS)
        self.signal_group(signal.SIGKILL)
        self.process.wait(_STOP_SECONDS)


@contextmanager
def running(
    command: Sequence[str | Path], *, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """A process for as long as the block lasts."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            env={**clean_environment(), **(environment or {})},
            start_new_session=True,
        )
    started = Running(process, log)
    try:
        yield started
    finally:
        started.stop()


def clean_environment() -> dict[str, str]:
    """The environment without what would configure MLflow, Kubernetes or us."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if key in _NEEDED or not key.upper().startswith(_NOT_INHERITED)
    }
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "GIT_PYTHON_REFRESH": "quiet"}


def free_port() -> int:
    """A TCP port on loopback that nobody gets by chance while this process runs.

    A socket that never listens keeps it (Linux). Servers ask for it by its number, with SO_REUSEADDR.
    """
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", 0))
    port = int(keeper.getsockname()[1])
    keeper.detach()  # stays open
    return port


def script(name: str) -> Path:
    """A program of the environment that runs the tests."""
    return PROGRAMS / name
