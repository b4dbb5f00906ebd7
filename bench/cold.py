"""Callers whom the server has never seen, against a known one, at the same server."""

from __future__ import annotations

import asyncio
import itertools

from bench.load import Sample, burst
from bench.options import Options
from bench.report import head, median, row
from bench.stage import Stage, headers, works


def run(stage: Stage, options: Options) -> None:
    """Print a table."""
    guarded = stage.guarded()
    work = works(guarded)[0]
    fresh = itertools.count(1)
    rows: dict[str, list[Sample]] = {"warm": [], "cold": []}
    for _ in range(options.rounds):
        for name, which in (("warm", headers()), ("cold", headers(lambda: next(fresh)))):
            sample = burst(guarded.url, work, which, clients=1, seconds=options.seconds / 2)
            rows[name].append(asyncio.run(sample))
    head("one client, get experiment", "p50 ms", "p99 ms")
    for name, samples in rows.items():
        p50, p99 = median(s.p50 for s in samples), median(s.p99 for s in samples)
        row(f"{name} token", f"{p50 * 1000:.2f}", f"{p99 * 1000:.2f}")
