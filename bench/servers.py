"""The two servers that are compared, and the Kubernetes API beneath one of them, as real processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

READY_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and the processes that serve."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def cpu_seconds(self) -> float:
        """User and system time that the server's processes have used so far (Linux)."""
        return sum(map(cpu_of, tree(self.process.pid)))

    def resident(self) -> int:
        """Bytes of memory that the server's processes hold now."""
        return sum(status_bytes(pid, "VmRSS") for pid in tree(self.process.pid))

    def peak(self) -> int:
        """Bytes that they have held at most, each since :meth:`forget_peak`."""
        return sum(status_bytes(pid, "VmHWM") for pid in tree(self.process.pid))

    def forget_peak(self) -> None:
        """Begin anew with :meth:`peak`."""
        for pid in tree(self.process.pid):
            forget_peak(pid)


def tree(pid: int) -> list[int]:
    """A process and all it started, by number."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(found for child in children for found in tree(int(child)))]


def cpu_of(pid: int) -> float:
    """Seconds by the clock of the process, in nanoseconds; ``/proc`` counts in hundredths of a second.

    Its number is the kernel's ``MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED)``.
    """
    return time.clock_gettime((~pid << 3) | 2)


def status_bytes(pid: int, key: str) -> int:
    """A size of ``/proc/<pid>/status``: ``VmRSS`` is resident memory, ``VmHWM`` its peak."""
    found = Path(f"/proc/{pid}/status").read_text().partition(f"{key}:")[2]
    return int(found.split()[0]) * 2**10


def forget_peak(pid: int) -> None:
    """``VmHWM`` begins anew with what is resident now (``man 5 proc``, ``clear_refs``)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def free_port() -> int:
    """A port of the loopback interface that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def started(
    command: Sequence[str], *, log: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own, ended with the block."""
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=sink,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with_group(process, signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                with_group(process, signal.SIGKILL)
                process.wait()
            if process.stdout:
                process.stdout.close()


def with_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to the process and everything it started."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


@contextmanager
def devplane(engine: str, state: Path, users: Path, manifests: Path) -> Iterator[dict[str, str]]:
    """A Kubernetes API; yields the line that it prints when it is ready."""
    command = [sys.executable, "-m", "workspace_authz.cli.main", "devplane", "--engine", engine]
    command += ["--state", str(state), "--users", str(users), "-f", str(manifests)]
    with started(command, log=state.parent / "devplane.log", environment={}) as process:
        if process.stdout is None:
            raise RuntimeError("the dev plane has no output")
        line = process.stdout.readline()
        if not line:
            raise RuntimeError((state.parent / "devplane.log").read_text()[-2000:])
        ready: dict[str, str] = json.loads(line)
        yield ready


@contextmanager
def mlflow_server(
    name: str, directory: Path, *, arguments: Sequence[str], environment: Mapping[str, str]
) -> Iterator[Server]:
    """``mlflow server`` with one worker, SQLite and local artifacts in ``directory``, only just started."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--enable-workspaces", *arguments]
    command += ["--backend-store-uri", f"sqlite:///{directory}/mlflow.db"]
    command += ["--artifacts-destination", str(directory / "artifacts")]
    settings = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    log = directory / "log"
    with started(command, log=log, environment={**settings, **environment}) as process:
        yield Server(name=name, url=f"http://127.0.0.1:{port}", process=process, log=log)


def await_answer(
    server: Server, path: str, headers: Mapping[str, str] | None = None, *, every: float = 0.2
) -> None:
    """Return when ``path`` answers 200, asked ``every`` so many seconds.

    Raises with the end of the server's log when it ends before that.
    """
    request = urllib.request.Request(server.url + path, headers=dict(headers or {}))
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        if server.process.poll() is not None:
            raise RuntimeError(server.log.read_text()[-2000:])
        try:
            with urllib.request.urlopen(request, timeout=10):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(every)
    raise RuntimeError(f"{server.url}{path} did not answer within {READY_SECONDS} s")
