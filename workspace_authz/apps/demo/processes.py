"""The demo's child processes: each in a session of its own, logged to a file, ended with the demo."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workspace_authz.errors import AuthzError

_GRACE_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.05
_LINE_BYTES: Final = 2**20
_TAIL_LINES: Final = 8

# Settings of the shell that started the demo must not reach into it.
_FOREIGN: Final = ("MLFLOW_", "_MLFLOW_", "WORKSPACE_AUTHZ_", "KUBECONFIG", "KUBERNETES_SERVICE_")


class DemoError(AuthzError):
    """The demo cannot be set up. The message says what to do or where to look."""


@dataclass(frozen=True, slots=True)
class Child:
    """One running process; everything it starts is in its session and ends with it."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    async def line(self, *, seconds: float) -> bytes:
        """The next line of its standard output. Raises :class:`DemoError` when it ends or stays silent."""
        if self.process.stdout is None:
            raise ValueError(f"the output of {self.name} goes to its log")
        try:
            async with asyncio.timeout(seconds):
                line = await self.process.stdout.readline()
        except TimeoutError:
            raise DemoError(f"{self.name} said nothing for {seconds:.0f} s; its log is {self.log}") from None
        if not line:
            raise await self.death()
        return line

    async def send(self, line: bytes) -> None:
        """Write one line to its standard input. Raises :class:`DemoError` when it has ended."""
        if self.process.stdin is None:
            raise ValueError(f"{self.name} has no standard input")
        try:
            self.process.stdin.write(line)
            await self.process.stdin.drain()
        except ConnectionError:
            raise await self.death() from None

    async def death(self) -> DemoError:
        """Wait until it ends, and tell how it did, with the last lines of its log."""
        status = await self.process.wait()
        tail = self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return DemoError("\n  ".join([f"{self.name} ended with status {status}; from {self.log}:", *tail]))


@asynccontextmanager
async def child(
    name: str, command: Sequence[str], *, environment: Mapping[str, str], log: Path, talks: bool = False
) -> AsyncIterator[Child]:
    """Run ``command`` for as long as the context lasts.

    A child that ``talks`` has pipes for standard input and output; its standard error, and all output
    of one that does not, goes to ``log``.
    """
    pipe = asyncio.subprocess.PIPE
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**clean_environment(), **environment},
            stdin=pipe if talks else asyncio.subprocess.DEVNULL,
            stdout=pipe if talks else output,
            stderr=output,
            start_new_session=True,  # Ctrl-C reaches the demo only, which ends its children in order
            limit=_LINE_BYTES,
        )
    try:
        yield Child(name=name, process=process, log=log)
    finally:
        await _end(process)


def clean_environment() -> dict[str, str]:
    """Our environment without settings of MLflow, Kubernetes or ourselves."""
    return {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask the whole session to end; kill what is left of it after ten seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_GRACE_SECONDS):
            _signal(process, signal.SIGTERM)
            await process.wait()
            while _signal(process, 0):  # noqa: ASYNC110 - nobody tells when a process group is empty
                await asyncio.sleep(_POLL_SECONDS)
    _signal(process, signal.SIGKILL)
    await process.wait()


def _signal(process: asyncio.subprocess.Process, number: int) -> bool:
    """Signal the session's process group; False when nothing of it is left."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True
