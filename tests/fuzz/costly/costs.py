"""What an input costs a guarded server and stock MLflow, and when the guarded one pays too much.

CPU time, memory and threads are compared: a machine that is busy does not change them much, and the floors
are wide. How long the event loop stood still is shown only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

FACTOR: Final = 3.0
"""A guarded server may need so many times what stock needs, beside the floors."""
CPU_FLOOR: Final = 0.4
"""Seconds."""
MEMORY_FLOOR: Final = 128 * 2**20
"""Bytes."""
SLOW_CLIENTS: Final = 12
THREADS_FLOOR: Final = SLOW_CLIENTS - 1
"""Each slow client holds one. Some idle ones come and go with the requests before."""
CPU_LIMIT: Final = 4.0
"""Seconds of a guarded server that no input may cost, whatever stock needs for it."""
LIMIT: Final = "limit"
_MIB: Final = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one input, on one server."""

    status: int
    """0: no answer."""
    cpu: float
    """Seconds."""
    loop: float
    """Of these, in the thread of the event loop."""
    peak: int
    """Bytes of memory beyond what was resident before, at most."""
    threads: int = 0
    """Held while the client was slow, beyond those before."""
    pause: float | None = None
    """The longest time that the server let a probe wait, in seconds; None: not looked at."""

    def least(self, other: Cost) -> Cost:
        """The smaller of each: what disturbs a measurement only adds to it."""
        pauses = [pause for pause in (self.pause, other.pause) if pause is not None]
        return Cost(
            status=self.status,
            cpu=min(self.cpu, other.cpu),
            loop=min(self.loop, other.loop),
            peak=min(self.peak, other.peak),
            threads=min(self.threads, other.threads),
            pause=min(pauses, default=None),
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One input on both servers."""

    route: str
    name: str
    caller: str
    size: int
    """Bytes on the wire."""
    guarded: Cost
    stock: Cost

    @property
    def problems(self) -> list[str]:
        """What the guarded server pays too much for."""
        return list(self._problems())

    def _problems(self) -> Iterator[str]:
        guarded, stock = self.guarded, self.stock
        if exceeds(guarded.cpu, stock.cpu, floor=CPU_FLOOR):
            yield "CPU"
        if exceeds(guarded.loop, stock.loop, floor=CPU_FLOOR):
            yield "loop"
        if exceeds(guarded.peak, stock.peak, floor=MEMORY_FLOOR):
            yield "memory"
        if exceeds(guarded.threads, stock.threads, floor=THREADS_FLOOR):
            yield "threads"
        if guarded.cpu > CPU_LIMIT:
            yield LIMIT

    @property
    def cells(self) -> tuple[str, ...]:
        """For a table."""
        return (
            " ".join(self.problems) or "–",
            self.route,
            f"{self.name} ({self.caller})",
            f"{self.size / 1024:.1f}",
            *(f"{a} / {b}" for a, b in zip(_figures(self.guarded), _figures(self.stock), strict=True)),
        )


def exceeds(guarded: float, stock: float, *, floor: float) -> bool:
    """Whether it is more than stock's by the factor and by the floor."""
    return guarded > FACTOR * stock and guarded - stock > floor


def _figures(cost: Cost) -> tuple[str, ...]:
    pause = "" if cost.pause is None else f"{cost.pause:.2f}"
    return (
        str(cost.status),
        f"{cost.cpu:.3f}",
        f"{cost.loop:.3f}",
        pause,
        f"{cost.peak / _MIB:.0f}",
        str(cost.threads),
    )


_HEAD: Final = (
    "too much",
    "route",
    "input",
    "KiB",
    "status",
    "CPU s",
    "loop s",
    "pause s",
    "peak MiB",
    "threads",
)


def table(rows: Iterable[Row], *, most: int) -> str:
    """The worst of them in Markdown; each figure is guarded / stock."""
    worst = sorted(rows, key=lambda row: (bool(row.problems), row.guarded.cpu), reverse=True)[:most]
    lines = [_HEAD, ("---",) * len(_HEAD), *(row.cells for row in worst)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
