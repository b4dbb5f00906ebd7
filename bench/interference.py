"""The latency of known callers while new callers wait for a slow API server or list many workspaces."""

from __future__ import annotations

import asyncio
import itertools

import aiohttp

from bench.cold import delayed
from bench.load import Sample, Work, burst
from bench.options import Options
from bench.report import head, row, spread
from bench.servers import Server
from bench.testbed import MANIFEST, Headers, Testbed, headers, works

_DELAY_MS = 200.0
_CLIENTS = 4
_NEW_CALLERS = 8
_LIST = "/api/3.0/mlflow/workspaces"
_EVERY_SECONDS = 0.2


def run(testbed: Testbed, options: Options) -> None:
    """Print a table: the latencies of known callers, relative to those without new callers."""
    namespaces = (
        f"---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: other-{number}}}\n"
        for number in range(options.namespaces)
    )
    testbed.manifests = MANIFEST + "".join(namespaces)
    guarded = testbed.guarded(KUBECONFIG=str(delayed(testbed, _DELAY_MS).kubeconfig))
    work, fresh = works(guarded)[0], itertools.count(1)
    head(f"{work.name}, known callers, while new callers …", "p50 ratio", "p99 ratio")
    loads: list[tuple[str, str]] = [
        (f"wait for reviews of {_DELAY_MS:g} ms", work.path),
        (f"list {options.namespaces} workspaces", _LIST),
    ]
    for what, path in loads:
        pairs = []
        for _ in range(options.rounds):
            alone = asyncio.run(
                burst(guarded.url, work, headers(), clients=_CLIENTS, seconds=options.seconds)
            )
            cold = headers(lambda: next(fresh))
            pairs.append((alone, asyncio.run(_together(guarded, work, path, cold, options.seconds))))
        row(
            what,
            spread([busy.p50 / idle.p50 for idle, busy in pairs]),
            spread([busy.p99 / idle.p99 for idle, busy in pairs]),
        )


async def _together(server: Server, work: Work, path: str, cold: Headers, seconds: float) -> Sample:
    """A burst of known callers beside a few clients that send a new token a few times a second."""

    async def new_caller(session: aiohttp.ClientSession) -> None:
        while True:
            async with session.get(server.url + path, headers=next(cold)) as response:
                if response.status != 200:
                    raise RuntimeError(f"{path}: {response.status} {await response.text()}")
                await response.read()
            await asyncio.sleep(_EVERY_SECONDS)

    async with aiohttp.ClientSession() as session:
        tasks = [asyncio.create_task(new_caller(session)) for _ in range(_NEW_CALLERS)]
        try:
            sample = await burst(server.url, work, headers(), clients=_CLIENTS, seconds=seconds)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if not isinstance(end, asyncio.CancelledError):
            raise RuntimeError("a new caller was refused") from end
    return sample
