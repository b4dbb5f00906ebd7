"""The run: clients ask, rights come and go in waves with quiet between them, and memory is watched."""

from __future__ import annotations

import asyncio
import random
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bench.soak.cases import Case, switches
from bench.soak.churn import agree, noise, wave
from bench.soak.clients import Bounds, Client, Tally
from bench.soak.ledger import Ledger
from bench.soak.memory import Resident
from workspace_authz.devplane.api import Api


@dataclass(frozen=True, slots=True)
class Load:
    """How much is done, and what is too bad. Times are in seconds."""

    bounds: Bounds
    seconds: float
    """The last wave begins before that."""
    clients: int
    teams: int
    """Namespaces for each kind of change."""
    pause: float
    """Of a client between two requests."""
    quiet: float
    """Before each wave. Longer than the server's settling time: only then are decisions kept for long."""
    gap: float
    """Between two changes of a wave."""
    growth: float
    """MiB by which memory may grow from the third quarter of the run to the last."""
    seed: int
    freeze: float = 0.0
    """For how long the API server is frozen at half-time."""


@dataclass(frozen=True, slots=True)
class Servers:
    """Who is asked."""

    urls: tuple[str, ...]
    """One for each replica."""
    processes: tuple[int, ...]
    """Their ids."""
    tls: ssl.SSLContext | None = None
    control_plane: tuple[int, ...] = ()
    """The API server's processes, for who freezes it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    cases: Sequence[Case] = field(repr=False)
    tally: Tally
    memory: Resident
    seconds: float


async def soak(api: Api, servers: Servers, load: Load) -> Outcome:
    """Run it. Whatever must not be is in the outcome's tally; :class:`ApiError` when a change is refused."""
    dice = random.Random(load.seed)
    tally, memory = Tally(load.bounds), Resident(servers.processes)
    begun = time.monotonic()
    async with _cases(api, load) as cases, _session(servers) as session:
        clients = [
            Client(case, token, servers.urls, load.pause, dice) for case in cases for token in case.tokens
        ]
        namespaces = [case.namespace for case in cases]
        everything = asyncio.create_task(_waves(api, cases, clients, tally=tally, load=load, dice=dice))
        await _beside(
            everything,
            *(client.run(session, tally) for client in clients),
            noise(api, namespaces, dice=dice, gap=0.5),
            memory.run(every=max(0.5, load.seconds / 60)),
            *_outages(tally, servers, load),
        )
        seconds = time.monotonic() - begun
    if memory.growth > load.growth:
        tally.violation(f"memory grew by {memory.growth:.0f} MiB within the second half of the run")
    return Outcome(cases, tally, memory, seconds)


async def _waves(
    api: Api,
    cases: Sequence[Case],
    clients: Sequence[Client],
    *,
    tally: Tally,
    load: Load,
    dice: random.Random,
) -> None:
    """Grants and revocations alternately; the last wave revokes what the one before it granted."""
    end = time.monotonic() + load.seconds
    while time.monotonic() < end or cases[0].ledger.present.allowed:
        await asyncio.sleep(dice.uniform(load.quiet, 1.2 * load.quiet))
        await wave(api, cases, dice=dice, gap=load.gap)
        await agree(clients, tally)


async def _beside(main: asyncio.Task[None], *others: Coroutine[Any, Any, None]) -> None:
    """Until ``main`` ends, or one of the others fails."""
    tasks = [main, *map(asyncio.create_task, others)]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


def _outages(tally: Tally, servers: Servers, load: Load) -> list[Coroutine[Any, Any, None]]:
    if not (load.freeze and servers.control_plane):
        return []
    return [tally.outages.freeze(servers.control_plane, after=load.seconds / 2, seconds=load.freeze)]


@asynccontextmanager
async def _cases(api: Api, load: Load) -> AsyncIterator[list[Case]]:
    """One right for each team and kind of change, spread over the clients."""
    mark = secrets.token_hex(3)
    kinds = list(switches(""))
    cases = []
    for number in range(load.teams * len(kinds)):
        namespace = f"soak-{mark}-{number}"
        switch = switches(namespace)[kinds[number % len(kinds)]]
        cases.append(Case(namespace, switch, Ledger(time.monotonic)))
    try:
        for number, case in enumerate(cases):
            share = (load.clients + number) // len(cases)
            await case.prepare(api, accounts=max(1, share))
        yield cases
    finally:
        for case in cases:
            await case.clear(api)


def _session(servers: Servers) -> aiohttp.ClientSession:
    """Every request has a connection of its own, so that any worker may get it."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True, ssl=servers.tls or True)
    return aiohttp.ClientSession(connector=connector)
