"""What a worker process uses: CPU time, threads and memory. None of it depends on how busy the machine is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.servers import cpu_of, forget_peak, status_bytes, tree

_NANO: Final = 1e9


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one process, at one moment."""

    cpu: float
    """Seconds, of all its threads."""
    loop: float
    """Seconds, of the thread that runs the event loop."""
    threads: int
    resident: int
    """Bytes."""
    peak: int
    """Bytes: the most that was resident since it was forgotten the last time."""


@dataclass(frozen=True, slots=True)
class Worker:
    """The process of a server with one worker that serves (Linux)."""

    pid: int

    def usage(self) -> Usage:
        """As ``/proc`` has it now."""
        tasks = Path(f"/proc/{self.pid}/task")
        loop = (tasks / str(self.pid) / "schedstat").read_text().split()[0]
        return Usage(
            cpu=cpu_of(self.pid),
            loop=int(loop) / _NANO,
            threads=len(list(tasks.iterdir())),
            resident=status_bytes(self.pid, "VmRSS"),
            peak=status_bytes(self.pid, "VmHWM"),
        )

    def forget_peak(self) -> None:
        """Begin anew with :attr:`Usage.peak`."""
        forget_peak(self.pid)


def worker_below(pid: int) -> Worker:
    """The one worker that a server's parent process has started. Its main thread runs its event loop.

    Raises ``AssertionError`` when there is no such process.
    """
    for child in reversed(tree(pid)):
        if b"uvicorn" in Path(f"/proc/{child}/cmdline").read_bytes():
            return Worker(child)
    raise AssertionError(f"no worker among the processes of {pid}")
