"""Statistics as Markdown: medians with their spread, because these machines are noisy."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterable, Sequence


def machine() -> str:
    """Where the numbers were had."""
    return f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def head(*columns: str) -> None:
    """The first two lines of a table."""
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)


def row(*cells: object) -> None:
    """One line of a table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def median(values: Iterable[float]) -> float:
    """The middle one."""
    return statistics.median(values)


def spread(values: Sequence[float], *, digits: int = 2) -> str:
    """``median (least–most)``."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def middle(values: Sequence[float], *, digits: int = 0) -> str:
    """``median (first–third quartile)``, where single values say little."""
    first, second, third = statistics.quantiles(values, n=4)
    return f"{second:.{digits}f} ({first:.{digits}f}–{third:.{digits}f})"
