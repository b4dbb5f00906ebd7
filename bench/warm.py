"""Warm requests of stock and of guarded MLflow, in turns: throughput and latency as ratios."""

from __future__ import annotations

import asyncio

from bench.load import Sample, Work, burst
from bench.options import Options
from bench.report import head, median, row, spread
from bench.servers import Server
from bench.stage import Stage, headers, works


def run(stage: Stage, options: Options) -> None:
    """Print a table."""
    stock, guarded = stage.stock(), stage.guarded()
    head(
        "request",
        "clients",
        "stock req/s",
        "guarded req/s",
        "throughput ratio",
        "p50 ratio",
        "p99 ratio",
    )
    for clients in options.clients:
        for work in zip(works(stock), works(guarded), strict=True):
            _compare(stock, guarded, work, clients=clients, options=options)


def _compare(
    stock: Server, guarded: Server, work: tuple[Work, Work], *, clients: int, options: Options
) -> None:
    pairs = in_turns([(stock, work[0]), (guarded, work[1])], clients=clients, options=options)
    samples = [(theirs, ours) for theirs, ours in pairs]
    row(
        work[0].name,
        clients,
        f"{median(theirs.throughput for theirs, _ in samples):.0f}",
        f"{median(ours.throughput for _, ours in samples):.0f}",
        spread([ours.throughput / theirs.throughput for theirs, ours in samples]),
        spread([ours.p50 / theirs.p50 for theirs, ours in samples]),
        spread([ours.p99 / theirs.p99 for theirs, ours in samples]),
    )


def in_turns(
    both: list[tuple[Server, Work]], *, clients: int, options: Options
) -> list[tuple[Sample, Sample]]:
    """Rounds of one burst each, the first server of a round alternating; a pair for each round."""
    for server, work in both:  # unmeasured, to warm connections and caches
        asyncio.run(burst(server.url, work, headers(), clients=clients, seconds=0.5))
    pairs = []
    for number in range(options.rounds):
        found: dict[str, Sample] = {}
        for server, work in both if number % 2 else reversed(both):
            cpu = server.cpu_seconds()
            sample = asyncio.run(burst(server.url, work, headers(), clients=clients, seconds=options.seconds))
            found[server.name] = sample.with_cpu(server.cpu_seconds() - cpu)
        pairs.append((found[both[0][0].name], found[both[1][0].name]))
    return pairs
