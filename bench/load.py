"""A closed loop of clients: each sends its next request when the last one is answered."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import aiohttp


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of request."""

    name: str
    method: str
    path: str
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """What one burst of load came to; times in seconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    cpu: float = 0.0
    """That the server used meanwhile."""

    def with_cpu(self, seconds: float) -> Sample:
        """The same with the server's CPU time."""
        return replace(self, cpu=seconds)

    @property
    def throughput(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


async def burst(
    url: str, work: Work, headers: Iterator[Mapping[str, str]], *, clients: int, seconds: float
) -> Sample:
    """Load ``url`` for ``seconds``. Any answer but 200 ends the run: it would measure something else."""
    latencies: list[float] = []
    end = time.perf_counter() + seconds
    data = json.dumps(work.body).encode() if work.body is not None else None

    async def client(session: aiohttp.ClientSession) -> None:
        while (started := time.perf_counter()) < end:
            async with session.request(
                work.method,
                url + work.path,
                data=data,
                headers={**next(headers), "content-type": "application/json"},
            ) as response:
                text = await response.read()
                if response.status != 200:
                    raise RuntimeError(f"{work.name}: {response.status} {text[:300]!r}")
            latencies.append(time.perf_counter() - started)

    begun = time.perf_counter()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    taken = time.perf_counter() - begun
    cut = statistics.quantiles(latencies, n=100) if len(latencies) > 1 else latencies * 99
    return Sample(requests=len(latencies), seconds=taken, p50=cut[49], p99=cut[98])
