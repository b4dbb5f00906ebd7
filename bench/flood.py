"""Attacks on a server: their effect on memory and on the latency of a caller of another team."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import aiohttp

from bench.attacks import ATTACKS, ENVIRONMENT, under_way
from bench.load import Sample, Work, burst
from bench.options import Options
from bench.report import head, row, spread
from bench.servers import Server
from bench.testbed import MANIFEST, WORKSPACE, Testbed, headers, works

_CLIENTS = 200
_ROUNDS = 8
"""How much longer than other bursts it lasts."""


_OTHER: Final = "team-b"
_VICTIM: Final[Mapping[str, str]] = {"authorization": "Bearer other-team", "x-mlflow-workspace": _OTHER}
_USER: Final = 'other-team,other-team,,"others"'
_MANIFEST: Final = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: {_OTHER}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: others, namespace: {_OTHER}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: mlflow-edit}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: Group, name: others}}]
"""


def run(testbed: Testbed, options: Options) -> None:
    """Print a table of what 200 clients get who send one invented token after another, and one of attacks."""
    testbed.manifests, testbed.users = f"{MANIFEST}---{_MANIFEST}", [_USER]
    guarded = testbed.guarded(workers=1, **ENVIRONMENT)
    head(
        "meanwhile another team gets an experiment",
        "p99 ms alone",
        "p99 ms meanwhile",
        "p99 ratio",
        "MiB more, at most",
    )
    work = works(guarded, _VICTIM)[0]
    for attack in ATTACKS:
        pairs, grown = [], []
        for _ in range(options.rounds):
            alone = _burst(guarded, work, options)
            before = guarded.resident()
            guarded.forget_peak()
            with under_way(attack, guarded):
                pairs.append((alone, _burst(guarded, work, options)))
            grown.append((guarded.peak() - before) / 2**20)
        row(
            attack.name,
            spread([alone.p99 * 1e3 for alone, _ in pairs], digits=1),
            spread([busy.p99 * 1e3 for _, busy in pairs], digits=1),
            spread([busy.p99 / alone.p99 for alone, busy in pairs]),
            spread(grown, digits=0),
        )
    _invented_tokens(guarded, options)  # last: afterwards new tokens are not looked at for a while


def _burst(server: Server, work: Work, options: Options) -> Sample:
    return asyncio.run(burst(server.url, work, itertools.repeat(_VICTIM), clients=1, seconds=options.seconds))


def _invented_tokens(guarded: Server, options: Options) -> None:
    work = works(guarded)[0]
    alone = asyncio.run(burst(guarded.url, work, headers(), clients=1, seconds=options.seconds))
    before = guarded.resident()
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
        f"{before / 2**20:.0f}",
        f"{guarded.resident() / 2**20:.0f}",
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
