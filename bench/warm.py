"""Warm requests of stock and guarded MLflow, measured alternately: ratios of throughput and latency."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bench.interleaved import interleaved
from bench.load import Work
from bench.options import Options
from bench.report import head, median, row, spread
from bench.servers import Server
from bench.testbed import Testbed, works


def run(testbed: Testbed, options: Options) -> None:
    """Print a table.

    A third server is the guarded one without its guard: what it has in common with that is MLflow's and
    SQLite's doing.
    """
    servers = (testbed.stock(), testbed.unguarded(), testbed.guarded())
    head(
        "request",
        "clients",
        "stock req/s",
        "guarded req/s",
        "throughput ratio",
        "p50 ratio",
        "p99 ratio",
        "throughput and p99 of the guarded server without its guard ÷ stock",
    )
    for clients in options.clients:
        for work in zip(*map(works, servers), strict=True):
            _compare(list(zip(servers, work, strict=True)), clients=clients, options=options)


def _compare(contenders: Sequence[tuple[Server, Work]], *, clients: int, options: Options) -> None:
    stock, without, guarded = asyncio.run(
        interleaved(contenders, clients=clients, rounds=options.rounds, seconds=options.seconds)
    )
    pairs = list(zip(stock, guarded, strict=True))
    without_guard = list(zip(stock, without, strict=True))
    row(
        contenders[0][1].name,
        clients,
        f"{median(theirs.throughput for theirs in stock):.0f}",
        f"{median(ours.throughput for ours in guarded):.0f}",
        spread([ours.throughput / theirs.throughput for theirs, ours in pairs]),
        spread([ours.p50 / theirs.p50 for theirs, ours in pairs]),
        spread([ours.p99 / theirs.p99 for theirs, ours in pairs]),
        f"{median(ours.throughput / theirs.throughput for theirs, ours in without_guard):.2f}, "
        f"{median(ours.p99 / theirs.p99 for theirs, ours in without_guard):.2f}",
    )
