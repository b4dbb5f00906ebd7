"""A flood of invented tokens: what it costs in memory, and a caller who is known meanwhile."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from bench.load import Sample, Work, burst
from bench.options import Options
from bench.report import head, row
from bench.servers import Server, tree
from bench.stage import WORKSPACE, Stage, headers, works

_TOKENS = int(os.environ.get("BENCH_FLOOD_TOKENS", "1000000"))
_CLIENTS = 32


def run(stage: Stage, options: Options) -> None:
    """Print a table: ``$BENCH_FLOOD_TOKENS`` distinct tokens, a million unless set."""
    guarded = stage.guarded()
    work = works(guarded)[0]
    alone = asyncio.run(burst(guarded.url, work, headers(), clients=1, seconds=options.seconds))
    before = _megabytes(guarded)
    flood = asyncio.run(_flood(guarded, work))
    head(
        "invented tokens",
        "seconds",
        "answered 401",
        "answered 429",
        "other",
        "MiB before",
        "MiB after",
        "known caller p99 ms alone",
        "meanwhile",
    )
    row(
        _TOKENS,
        f"{flood.seconds:.0f}",
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


async def _flood(server: Server, work: Work) -> _Flood:
    numbers, statuses, over = iter(range(_TOKENS)), dict[int, int](), asyncio.Event()

    async def client(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            sent = {"authorization": f"Bearer invented-{number}", "x-mlflow-workspace": WORKSPACE}
            async with session.request(work.method, server.url + work.path, headers=sent) as response:
                await response.read()
                statuses[response.status] = statuses.get(response.status, 0) + 1

    async def known() -> Sample:
        """Bursts of a second until the flood is over; the worst of them."""
        samples = []
        while not over.is_set():
            samples.append(await burst(server.url, work, headers(), clients=1, seconds=1.0))
        return max(samples, key=lambda sample: sample.p99)

    meanwhile = asyncio.create_task(known())
    begun = time.perf_counter()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(client(session) for _ in range(_CLIENTS)))
    seconds = time.perf_counter() - begun
    over.set()
    return _Flood(await meanwhile, seconds, statuses)


def _megabytes(server: Server) -> float:
    """Resident memory of the server's processes."""
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in tree(server.process.pid)]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20
