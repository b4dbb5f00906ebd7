"""Measures several servers alternately under the same load."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bench.load import Sample, Work, burst
from bench.servers import Server
from bench.testbed import headers

_WARM_SECONDS: Final = 2.0


async def interleaved(
    contenders: Sequence[tuple[Server, Work]], *, clients: int, rounds: int, seconds: float
) -> list[list[Sample]]:
    """Load each server for ``seconds`` in every round, and return the samples by server.

    Each round begins with another server. Connections and caches are warmed up before, unmeasured.
    """
    for server, work in contenders:
        await burst(server.url, work, headers(), clients=clients, seconds=_WARM_SECONDS)
    found: list[list[Sample]] = [[] for _ in contenders]
    for number in range(rounds):
        for place in range(len(contenders)):
            index = (number + place) % len(contenders)
            server, work = contenders[index]
            before = server.cpu_seconds()
            sample = await burst(server.url, work, headers(), clients=clients, seconds=seconds)
            found[index].append(sample.with_cpu(server.cpu_seconds() - before))
    return found
