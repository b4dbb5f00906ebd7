"""How much memory the servers' processes hold, from Linux' ``/proc``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.servers import tree

_MIB = 1024


def resident(roots: Sequence[int]) -> float:
    """MiB of the processes and all that they started, shared pages counted once for each."""
    return sum(_resident(pid) for root in roots for pid in tree(root)) / _MIB


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0  # a process that has ended and is not yet forgotten


@dataclass(slots=True)
class Resident:
    """Samples over a run."""

    roots: Sequence[int]
    """Process ids of the servers."""
    samples: list[tuple[float, float]] = field(default_factory=list)
    """Seconds since the first one, and MiB."""

    async def run(self, *, every: float) -> None:
        """Sample until cancelled."""
        begun = time.monotonic()
        while True:
            self.samples.append((time.monotonic() - begun, resident(self.roots)))
            await asyncio.sleep(every)

    @property
    def growth(self) -> float:
        """MiB by which the last quarter of the run is above the third; 0 for a run too short to tell."""
        sizes = [size for _, size in self.samples]
        quarter = len(sizes) // 4
        if not quarter:
            return 0.0
        return median(sizes[-quarter:]) - median(sizes[-2 * quarter : -quarter])
