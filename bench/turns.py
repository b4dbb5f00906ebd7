"""Several servers under the same load, one after the other, again and again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bench.load import Sample, Work, burst
from bench.servers import Server
from bench.stage import headers

_WARM_SECONDS: Final = 2.0


async def in_turns(
    contenders: Sequence[tuple[Server, Work]], *, clients: int, rounds: int, seconds: float
) -> list[list[Sample]]:
    """For each server a burst of ``seconds`` in every round. Another one begins each round.

    First, unmeasured, connections and caches are warmed up.
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
