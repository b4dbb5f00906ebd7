"""The list of workspaces for new callers: its time and its number of reviews."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import yaml

from bench import counting
from bench.options import Options
from bench.report import head, row, spread
from bench.servers import Server
from bench.testbed import Testbed

_PATH = "/api/3.0/mlflow/workspaces"
_ALLOWED = 10
_UNWATCHED = "bench-unwatched-token"
_UNWATCHED_MOST = 2000
"""Namespaces. One review for each of more does not fit into the nine seconds of a verdict."""


def run(testbed: Testbed, options: Options) -> None:
    """Print a table. ``options.namespaces`` namespaces; some callers may use ten of them, others all."""
    calls = iter(range(1_000_000))
    rounds = 3 * options.rounds
    testbed.manifests = "---\n".join(_manifests(options.namespaces))
    testbed.users = [
        *(f'few-{number},few-{number},,"few"' for number in range(4 * rounds)),
        *(f'all-{number},all-{number},,"all"' for number in range(4 * rounds)),
        f'{_UNWATCHED},unwatched,,"unwatched"',
        counting.USER,
    ]
    head("workspace list, cold caller", "namespaces", "seconds", "reviews")
    guarded = testbed.guarded()
    _measure(guarded, "few", calls, rounds=1, report=None)
    _measure(guarded, "few", calls, rounds=rounds, report=f"{_ALLOWED} of {options.namespaces}")
    _measure(guarded, "all", calls, rounds=rounds, report=f"all of {options.namespaces}")
    if options.namespaces > _UNWATCHED_MOST:
        return
    unwatched = testbed.guarded(KUBECONFIG=str(_without_rbac(testbed)))
    _measure(unwatched, "few", calls, rounds=1, report=None)
    report = f"{_ALLOWED} of {options.namespaces}, no right to watch RBAC"
    _measure(unwatched, "few", calls, rounds=max(2, options.rounds // 2), report=report)


def _measure(server: Server, who: str, calls: Iterator[int], *, rounds: int, report: str | None) -> None:
    seconds, asked = asyncio.run(_ask(server, who, calls, rounds=rounds))
    if report is not None:
        row(report, "", spread(seconds, digits=3), spread(asked, digits=0))


async def _ask(
    server: Server, who: str, calls: Iterator[int], *, rounds: int
) -> tuple[list[float], list[float]]:
    seconds, asked = [], []
    async with aiohttp.ClientSession() as session:
        for _ in range(rounds):
            headers = {"authorization": f"Bearer {who}-{next(calls) % (4 * rounds)}"}
            before = counting.reviews(server)
            begun = time.perf_counter()
            async with session.get(server.url + _PATH, headers=headers) as response:
                found = await response.json()
                if response.status != 200 or len(found["workspaces"]) < _ALLOWED:
                    raise RuntimeError(f"{response.status} {str(found)[:300]}")
            seconds.append(time.perf_counter() - begun)
            asked.append(float(counting.reviews(server) - before))
    return seconds, asked


def _manifests(namespaces: int) -> Iterator[str]:
    yield counting.MANIFEST
    for number in range(namespaces):
        yield f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: team-{number}}}\n"
    for number in range(_ALLOWED):
        yield _binding("RoleBinding", f"name: few, namespace: team-{number}", "mlflow-view", "few")
    yield _binding("ClusterRoleBinding", "name: bench-all", "mlflow-view", "all")
    yield (
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: bench-namespaces}\n"
        "rules: [{apiGroups: [''], resources: [namespaces], verbs: [get, list, watch]}]\n"
    )
    yield _binding("ClusterRoleBinding", "name: bench-unwatched", "bench-namespaces", "unwatched")


def _binding(kind: str, metadata: str, role: str, group: str) -> str:
    return (
        f"apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {{{metadata}}}\n"
        f"roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {role}}}\n"
        f"subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: Group, name: {group}}}]\n"
    )


def _without_rbac(testbed: Testbed) -> Path:
    """The server's kubeconfig with the token of an account that may watch namespaces and nothing else."""
    kubeconfig = yaml.safe_load(Path(testbed.plane["server_kubeconfig"]).read_text())
    kubeconfig["users"][0]["user"] = {"token": _UNWATCHED}
    path = testbed.directory / "unwatched.kubeconfig"
    path.write_text(yaml.safe_dump(kubeconfig))
    return path
