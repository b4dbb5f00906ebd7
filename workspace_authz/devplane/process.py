"""Processes that belong to an engine: logged to a file, ended with it, never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workspace_authz.devplane import tethered
from workspace_authz.errors import AuthzError

_GRACE_SECONDS = 5.0
_TAIL_BYTES, _TAIL_LINES = 4096, 5


class EngineDiedError(AuthzError):
    """A process of the engine ended by itself. The message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Child:
    """One process of an engine."""

    name: str
    log: Path
    process: asyncio.subprocess.Process

    async def died(self) -> EngineDiedError:
        """Wait until the process ends, and tell how it did."""
        status = await self.process.wait()
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
        return EngineDiedError(f"{self.name} ended with {how} (log: {self.log}): {_tail(self.log)}")

    async def stop(self) -> None:
        """Ask the process to end; kill it when it takes longer than five seconds."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            async with asyncio.timeout(_GRACE_SECONDS):
                await self.process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


async def spawn(program: Path, arguments: Sequence[str], *, directory: Path) -> Child:
    """Start ``program`` in ``directory``; its output is appended to ``<name>.log`` there.

    It gets a process group of its own, so that Ctrl-C in a terminal reaches only us and we end our
    processes in order.
    """
    log = directory / f"{program.name}.log"
    tether = (sys.executable, "-I", "-S", tethered.__file__, str(os.getpid()))
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *tether,
            str(program),
            *arguments,
            cwd=directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,
        )
    return Child(name=program.name, log=log, process=process)


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    return " | ".join(line.strip() for line in lines[-_TAIL_LINES:]) or "(empty)"
