"""A flood of invented tokens: its effect on memory and on the latency of a known caller."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import aiohttp

from bench.load import Sample, Work, burst
from bench.options import Options
from bench.report import head, row
from bench.servers import Server, tree
from bench.testbed import WORKSPACE, Testbed, headers, works

_CLIENTS = 200
_ROUNDS = 8
"""How much longer than other bursts it lasts."""


def run(testbed: Testbed, options: Options) -> None:
    """Print a table: what 200 clients get who send one invented token after another."""
    guarded = testbed.guarded()
    work = works(guarded)[0]
    alone = asyncio.run(burst(guarded.url, work, headers(), clients=1, seconds=options.seconds))
    before = _megabytes(guarded)
    flood = asyncio.run(_flood(guarded, work, seconds=_ROUNDS * options.seconds))
    head(
        "seconds",
        "invented tokens",
        "answered 401",
        "answered 429",
        "other",
        "MiB before",
        "MiB after",
        "known caller p99 ms alone",
        "meanwhile",
    )
    row(
        f"{flood.seconds:.0f}",
        sum(flood.statuses.values()),
        flood.statuses.get(401, 0),
        flood.statuses.get(429, 0),
        sum(number for status, number in flood.statuses.items() if status not in (401, 429)),
        f"{before:.0f}",
        f"{_megabytes(guarded):.0f}",
        f"{alone.p99 * 1e3:.1f}",
        f"{flood.known.p99 * 1e3:.1f}",
    )


@dataclass(slots=True)
class _Flood:
    known: Sample
    """What a known caller got meanwhile."""
    seconds: float
    statuses: dict[int, int] = field(default_factory=dict)


async def _flood(server: Server, work: Work, *, seconds: float) -> _Flood:
    numbers, statuses = count(), dict[int, int]()
    begun = time.perf_counter()

    async def client(session: aiohttp.ClientSession) -> None:
        while time.perf_counter() - begun < seconds:
            number = next(numbers)
            sent = {"authorization": f"Bearer invented-{number}", "x-mlflow-workspace": WORKSPACE}
            async with session.request(work.method, server.url + work.path, headers=sent) as response:
                await response.read()
                statuses[response.status] = statuses.get(response.status, 0) + 1

    meanwhile = asyncio.create_task(burst(server.url, work, headers(), clients=1, seconds=seconds))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(client(session) for _ in range(_CLIENTS)))
    lasted = time.perf_counter() - begun
    return _Flood(await meanwhile, lasted, statuses)


def _megabytes(server: Server) -> float:
    """Resident memory of the server's processes."""
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in tree(server.process.pid)]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20
