"""What keeping decisions for the audit page costs: CPU time and throughput, with it and without."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from typing import Final

from sqlalchemy import create_engine

from bench.load import Sample, Work, burst
from bench.options import Options
from bench.report import head, median, middle, row, spread
from bench.servers import Server
from bench.testbed import Headers, Testbed, headers, works
from workspace_authz.aio.clock import SystemClock
from workspace_authz.database.audit import Bounds
from workspace_authz.database.threads import DatabaseThreads
from workspace_authz.doors.asgi.audit import note
from workspace_authz.effects.effects import Effects
from workspace_authz.history.history import FLUSH_SECONDS, MOST_WAITING, History
from workspace_authz.kubernetes.credentials import BearerToken
from workspace_authz.pipeline.verdict import Check, Findings, Pass
from workspace_authz.types import (
    Attributes,
    Caller,
    Decision,
    Outcome,
    Resource,
    Source,
    UserInfo,
    Verb,
)

_USERS: Final = 100
"""Each makes rows of their own: the dearest that is usual."""
_CLIENTS: Final = 4
_WARM_SECONDS: Final = 3.0
_WRITTEN_SECONDS: Final = FLUSH_SECONDS + 0.5
"""After a burst, until its last decisions have been written."""
_MICRO: Final = 1e6
_UID: Final = "0d6a1b58-6c1f-4d6a-9a41-4a5a6f3a5a10"


def run(testbed: Testbed, options: Options) -> None:
    """Print two tables. Two servers keep nothing, to show how far two measurements of the same lie apart."""
    asyncio.run(_alone(testbed, options))
    servers = [testbed.guarded(WORKSPACE_AUTHZ_AUDIT_HISTORY_DAYS=days) for days in ("0", "0", "7")]
    head(
        f"{_USERS} users, {_CLIENTS} clients",
        "server CPU a request without µs",
        "more with it µs (middle half)",
        "of two without µs (middle half)",
        "throughput with ÷ without (middle half)",
        "of two without (middle half)",
    )
    for work in zip(*map(works, servers), strict=True):
        contenders = list(zip(servers, work, strict=True))
        without, other, kept = asyncio.run(_alternately(contenders, options))
        row(
            work[0].name,
            f"{median(map(_cpu, without)):.0f}",
            middle([_cpu(one) - _cpu(two) for one, two in zip(kept, without, strict=True)]),
            middle([_cpu(one) - _cpu(two) for one, two in zip(other, without, strict=True)]),
            middle(
                [one.throughput / two.throughput for one, two in zip(kept, without, strict=True)], digits=3
            ),
            middle(
                [one.throughput / two.throughput for one, two in zip(other, without, strict=True)], digits=3
            ),
        )


async def _alone(testbed: Testbed, options: Options) -> None:
    """The CPU time of what a server with SQLite does more, in this process."""
    engine = create_engine(f"sqlite:///{testbed.directory / 'alone.db'}")
    database = DatabaseThreads(lambda: engine, "the audit page")
    history = History(
        database, database, days=7, bounds=Bounds(500_000), clock=SystemClock(), uid_of=lambda _: _UID
    )
    equal, other = [_verdict(0)] * MOST_WAITING, [_verdict(number) for number in range(MOST_WAITING)]
    head("alone", "µs of CPU a request")
    for name, verdicts in (("as one before it", equal), ("as none before it, with its row", other)):
        times = [await _taken(history, verdicts) for _ in range(options.rounds + 1)]
        row(name, spread(times[1:], digits=1))
    database.close()
    engine.dispose()


async def _taken(history: History, verdicts: Sequence[Pass]) -> float:
    begun = time.process_time()
    for verdict in verdicts:
        note(history, verdict, method="GET", status=200)
    await history.flush()
    return (time.process_time() - begun) / len(verdicts) * _MICRO


def _verdict(number: int) -> Pass:
    asked = Attributes("team-a", Verb.GET, Resource.EXPERIMENTS)
    check = Check(asked, Decision(Outcome.ALLOW, Source.CACHE))
    caller = Caller(UserInfo(f"user-{number}"), BearerToken("t"))
    return Pass(Findings(caller=caller, workspace="team-a", checks=(check,)), Effects())


async def _alternately(contenders: Sequence[tuple[Server, Work]], options: Options) -> list[list[Sample]]:
    """Load each server in turn. Its background work lies within the time that is counted."""
    for server, work in contenders:
        await burst(server.url, work, _users(), clients=_CLIENTS, seconds=_WARM_SECONDS)
    found: list[list[Sample]] = [[] for _ in contenders]
    for number in range(options.rounds):
        for place in range(len(contenders)):
            index = (number + place) % len(contenders)
            server, work = contenders[index]
            before = server.cpu_seconds()
            sample = await burst(server.url, work, _users(), clients=_CLIENTS, seconds=options.seconds)
            await asyncio.sleep(_WRITTEN_SECONDS)
            found[index].append(sample.with_cpu(server.cpu_seconds() - before))
    return found


def _users() -> Headers:
    numbers = itertools.cycle(range(_USERS))
    return headers(lambda: next(numbers))


def _cpu(sample: Sample) -> float:
    return sample.cpu / sample.requests * _MICRO
