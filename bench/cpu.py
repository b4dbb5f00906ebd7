"""The CPU time of a server's processes per request, with the guard minus without it."""

from __future__ import annotations

import asyncio
from typing import Final

from bench.interleaved import interleaved
from bench.load import Sample
from bench.options import Options
from bench.report import head, median, middle, row
from bench.testbed import Testbed, works

_CLIENTS: Final = (1, 4)
"""One keeps the server's threads from waiting for each other, which costs CPU time of its own."""
_BURST_SECONDS: Final = 0.5
"""Short, so that what else the machine does meets all servers alike."""
_MICRO: Final = 1e6


def run(testbed: Testbed, options: Options) -> None:
    """Print a table. All servers have the same provider, event loop, HTTP parser and background work.

    A second one without the guard shows how far two measurements of the same thing lie apart.
    """
    servers = (testbed.unguarded(), testbed.unguarded(), testbed.guarded())
    rounds = max(2, round(options.rounds * options.seconds / _BURST_SECONDS))
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
            contenders = list(zip(servers, work, strict=True))
            samples = asyncio.run(
                interleaved(contenders, clients=clients, rounds=rounds, seconds=_BURST_SECONDS)
            )
            without_guard, other, guarded = map(_micro, samples)
            row(
                work[0].name,
                clients,
                f"{median(without_guard):.0f}",
                f"{median(guarded):.0f}",
                middle([ours - without for ours, without in zip(guarded, without_guard, strict=True)]),
                middle([one - without for one, without in zip(other, without_guard, strict=True)]),
            )


def _micro(samples: list[Sample]) -> list[float]:
    return [sample.cpu / sample.requests * _MICRO for sample in samples]
