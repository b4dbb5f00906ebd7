"""The API server frozen in the middle of it all: meanwhile 503 is the right answer."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

RECOVERY_SECONDS: Final = 10.0
"""After which the server must have noticed that the API server answers again."""


@dataclass(slots=True)
class Outages:
    """When the API server was away, on the monotonic clock."""

    windows: list[tuple[float, float]] = field(default_factory=list)

    def excuse(self, *, sent: float, came: float) -> bool:
        """Whether a request was under way in one, or before the server can have noticed its end."""
        return any(begin <= came and sent <= end + RECOVERY_SECONDS for begin, end in self.windows)

    async def freeze(self, processes: Sequence[int], *, after: float, seconds: float) -> None:
        """Stop the processes once, after so many seconds. Runs until cancelled."""
        await asyncio.sleep(after)
        self.windows.append((time.monotonic(), math.inf))
        try:
            for process in processes:
                os.kill(process, signal.SIGSTOP)
            await asyncio.sleep(seconds)
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)
        self.windows.append((self.windows.pop()[0], time.monotonic()))
        await asyncio.Event().wait()


def running_in(directory: Path) -> tuple[int, ...]:
    """Processes by their working directory (Linux): those of the real control plane run in its state's."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if Path(os.readlink(process / "cwd")) == directory:
                found.append(int(process.name))
        except OSError:
            continue  # it has just ended, or is somebody else's
    return tuple(found)
