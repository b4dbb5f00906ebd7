"""A search over 300 experiments by callers with seven named rights, and by callers with the broad one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import aiohttp

from bench import counting
from bench.options import Options
from bench.report import head, row, spread
from bench.servers import Server
from bench.testbed import MANIFEST, WORKSPACE, Testbed, post

_EXPERIMENTS = 300
_NAMED = [f"search-{number}" for number in range(0, _EXPERIMENTS, 43)]
_PATH = "/api/2.0/mlflow/experiments/search"
_ROLE = f"""
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: bench-named, namespace: {WORKSPACE}}}
rules:
- {{apiGroups: [mlflow.kubeflow.org], resources: [experiments], verbs: [get, list], resourceNames: {_NAMED}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: bench-named, namespace: {WORKSPACE}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: bench-named}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: Group, name: named}}]
"""


def run(testbed: Testbed, options: Options) -> None:
    """Print a table: one page of at most 300, by new callers."""
    rounds = 5 * options.rounds
    testbed.manifests = "---".join([MANIFEST, _ROLE, counting.MANIFEST])
    testbed.users = [
        *(f'named-{number},named-{number},,"named"' for number in range(rounds + 1)),
        *(f'broad-{number},broad-{number},,"bench"' for number in range(rounds + 1)),
        counting.USER,
    ]
    guarded = testbed.guarded()
    for number in range(_EXPERIMENTS):
        post(guarded, "/api/2.0/mlflow/experiments/create", {"name": f"search-{number}"})
    taken: dict[str, list[float]] = {"broad": [], "named": []}
    asked: dict[str, list[float]] = {"broad": [], "named": []}
    for number, seconds, reviews, who in asyncio.run(_searches(guarded, rounds)):
        if number:  # the first of each warms connections and MLflow's own caches
            taken[who].append(seconds)
            asked[who].append(reviews)
    head(f"search of {_EXPERIMENTS} experiments, cold caller", "found", "ms", "reviews", "÷ broad")
    for who, found in (("broad", _EXPERIMENTS), ("named", len(_NAMED))):
        ratios = [ours / broad for ours, broad in zip(taken[who], taken["broad"], strict=True)]
        times = [seconds * 1000 for seconds in taken[who]]
        row(f"{who} right", found, spread(times, digits=1), spread(asked[who], digits=0), spread(ratios))


async def _searches(server: Server, rounds: int) -> list[tuple[int, float, float, str]]:
    async with aiohttp.ClientSession() as session:
        return [
            (number, *await _search(server, session, f"{who}-{number}", expected), who)
            for number, who, expected in _plan(rounds)
        ]


def _plan(rounds: int) -> Iterator[tuple[int, str, int]]:
    for number in range(rounds + 1):
        yield number, "broad", _EXPERIMENTS
        yield number, "named", len(_NAMED)


async def _search(
    server: Server, session: aiohttp.ClientSession, token: str, expected: int
) -> tuple[float, float]:
    headers = {"authorization": f"Bearer {token}", "x-mlflow-workspace": WORKSPACE}
    before = counting.reviews(server)
    begun = time.perf_counter()
    search = {"max_results": _EXPERIMENTS, "filter": "name LIKE 'search-%'"}
    async with session.post(server.url + _PATH, json=search, headers=headers) as response:
        found = await response.json()
    seconds = time.perf_counter() - begun
    if response.status != 200 or len(found["experiments"]) != expected:
        raise RuntimeError(f"{token}: {response.status} {str(found)[:300]}")
    return seconds, float(counting.reviews(server) - before)
