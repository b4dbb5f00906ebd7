"""What the guard costs: CPU time of the server's processes per request, with it minus without it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from bench.load import Work, burst
from bench.options import Options
from bench.report import head, median, middle, row
from bench.servers import Server
from bench.stage import Stage, headers, works

_CLIENTS: Final = (1, 4)
"""One keeps the server's threads from waiting for each other, which costs CPU time of its own."""
_BURST_SECONDS: Final = 0.5
"""Short, so that what else the machine does meets all servers alike."""
_WARM_SECONDS: Final = 2.0
_MICRO: Final = 1e6


def run(stage: Stage, options: Options) -> None:
    """Print a table. All servers have the same provider, event loop, HTTP parser and background work.

    A second one without the guard shows how far two measurements of the same thing lie apart.
    """
    servers = (stage.unguarded(), stage.unguarded(), stage.guarded())
    head(
        "server CPU a request, warm",
        "clients",
        "without the guard µs",
        "guarded µs",
        "difference µs (middle half)",
        "of two without the guard µs",
    )
    for work in zip(*map(works, servers), strict=True):
        for clients in _CLIENTS:
            bare, other, guarded = asyncio.run(_measured(servers, work, clients=clients, options=options))
            row(
                work[0].name,
                clients,
                f"{median(bare):.0f}",
                f"{median(guarded):.0f}",
                middle([ours - without for ours, without in zip(guarded, bare, strict=True)]),
                middle([one - without for one, without in zip(other, bare, strict=True)]),
            )


async def _measured(
    servers: Sequence[Server], work: Sequence[Work], *, clients: int, options: Options
) -> list[list[float]]:
    """For each server its µs a request, burst by burst; each goes first in every third round."""
    pairs = list(enumerate(zip(servers, work, strict=True)))
    for _, (server, one) in pairs:
        await burst(server.url, one, headers(), clients=clients, seconds=_WARM_SECONDS)
    found: list[list[float]] = [[] for _ in servers]
    for number in range(max(2, round(options.rounds * options.seconds / _BURST_SECONDS))):
        begin = number % len(pairs)
        for index, (server, one) in pairs[begin:] + pairs[:begin]:
            before = server.cpu_seconds()
            sample = await burst(server.url, one, headers(), clients=clients, seconds=_BURST_SECONDS)
            found[index].append((server.cpu_seconds() - before) / sample.requests * _MICRO)
    return found
