"""Warm and cold requests of stock and of guarded MLflow, in turns, with medians and spread of the ratios.

"Stock" is MLflow as ``pip install mlflow`` gives it: workspaces in its own SQL store, uvicorn with asyncio
and h11. Both servers have one worker, SQLite and local artifacts, on the same machine as the clients.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import platform
import statistics
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.load import Sample, Work, burst
from bench.servers import Server, devplane, mlflow_server

_WORKSPACE = "team-a"
_MANIFEST = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: {_WORKSPACE}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: bench, namespace: {_WORKSPACE}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: mlflow-edit}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: Group, name: bench}}]
"""
Headers = Iterator[Mapping[str, str]]


def main() -> None:
    """Run the benchmark and print a Markdown table."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--engine", default="kube-apiserver", choices=["kube-apiserver", "embedded"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each burst")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, ExitStack() as stack:
        stock, guarded = _servers(stack, Path(directory), options.engine)
        print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, ", end="")
        print(f"{options.engine}; {options.rounds} rounds of {options.seconds:g} s")
        print(
            "\n| request | clients | stock req/s | guarded req/s | throughput ratio | p50 ratio | p99 ratio |"
        )
        print("|---|---|---|---|---|---|---|")
        for clients in options.clients:
            for work in _works(stock, guarded):
                _compare(stock, guarded, work, clients=clients, options=options)
        _cold(guarded, options)


def _servers(stack: ExitStack, directory: Path, engine: str) -> tuple[Server, Server]:
    users, manifests = directory / "users.csv", directory / "bench.yaml"
    # One token per cold request: the identity and the decision of each are unknown to the server.
    lines = [f'{_token(number)},user-{number},uid-{number},"bench"' for number in range(_COLD_TOKENS)]
    users.write_text("\n".join(lines) + "\n")
    manifests.write_text(_MANIFEST)
    ready = stack.enter_context(devplane(engine, directory / "plane", users, manifests))
    stock = stack.enter_context(
        mlflow_server(
            "stock",
            directory / "stock",
            arguments=["--uvicorn-opts", "--loop asyncio --http h11 --no-access-log"],
            environment={},
        )
    )
    _post(stock, "/api/3.0/mlflow/workspaces", {"name": _WORKSPACE}, {})
    arguments = ["--app-name", "workspace-authz", "--workspace-store-uri", "kubernetes://"]
    guarded = stack.enter_context(
        mlflow_server(
            "guarded",
            directory / "guarded",
            arguments=[*arguments, "--uvicorn-opts", "--no-access-log"],
            environment={
                "KUBECONFIG": ready["server_kubeconfig"],
                "WORKSPACE_AUTHZ_AUDIT_SINK": str(directory / "audit.jsonl"),
            },
        )
    )
    return stock, guarded


_COLD_TOKENS = 20_000


def _token(number: int) -> str:
    return f"bench-token-{number}"


def _headers(token: Callable[[], int] = lambda: 0) -> Headers:
    while True:
        yield {"authorization": f"Bearer {_token(token())}", "x-mlflow-workspace": _WORKSPACE}


def _post(server: Server, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
    request = urllib.request.Request(
        server.url + path, json.dumps(body).encode(), {"content-type": "application/json", **headers}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        answer: dict[str, Any] = json.load(response)
        return answer


def _works(stock: Server, guarded: Server) -> list[tuple[Work, Work]]:
    """A read and a write, each with the ids of its server."""
    pairs: list[list[Work]] = []
    for server in (stock, guarded):
        headers = next(_headers())
        name = f"bench-{os.urandom(4).hex()}"
        experiment = _post(server, "/api/2.0/mlflow/experiments/create", {"name": name}, headers)
        identifier = experiment["experiment_id"]
        run = _post(server, "/api/2.0/mlflow/runs/create", {"experiment_id": identifier}, headers)
        metric = {"run_id": run["run"]["info"]["run_id"], "key": "m", "value": 1.0, "timestamp": 0, "step": 0}
        pairs.append(
            [
                Work("get experiment", "GET", f"/api/2.0/mlflow/experiments/get?experiment_id={identifier}"),
                Work("log metric", "POST", "/api/2.0/mlflow/runs/log-metric", metric),
            ]
        )
    return list(zip(*pairs, strict=True))


def _compare(
    stock: Server, guarded: Server, work: tuple[Work, Work], *, clients: int, options: argparse.Namespace
) -> None:
    """Rounds of one burst each, the first server of a round alternating."""
    samples: dict[str, list[Sample]] = {"stock": [], "guarded": []}
    both = [(stock, work[0]), (guarded, work[1])]
    for server, its_work in both:  # unmeasured, to warm connections and caches
        asyncio.run(burst(server.url, its_work, _headers(), clients=clients, seconds=0.5))
    for number in range(options.rounds):
        for server, its_work in both if number % 2 else reversed(both):
            sample = burst(server.url, its_work, _headers(), clients=clients, seconds=options.seconds)
            samples[server.name].append(asyncio.run(sample))
    pairs = list(zip(samples["guarded"], samples["stock"], strict=True))
    print(
        f"| {work[0].name} | {clients} | {_median(s.throughput for _, s in pairs):.0f} "
        f"| {_median(g.throughput for g, _ in pairs):.0f} "
        f"| {_spread([g.throughput / s.throughput for g, s in pairs])} "
        f"| {_spread([g.p50 / s.p50 for g, s in pairs])} | {_spread([g.p99 / s.p99 for g, s in pairs])} |",
        flush=True,
    )


def _cold(guarded: Server, options: argparse.Namespace) -> None:
    """Tokens that the server has never seen, against a warm one, at the same server."""
    work = _works(guarded, guarded)[0][0]
    fresh = itertools.count(1)
    print("\n| one client, get experiment | p50 ms | p99 ms |\n|---|---|---|")
    rows: dict[str, list[Sample]] = {"warm": [], "cold": []}
    for _ in range(options.rounds):
        for name, headers in (("warm", _headers()), ("cold", _headers(lambda: next(fresh)))):
            sample = burst(guarded.url, work, headers, clients=1, seconds=options.seconds / 2)
            rows[name].append(asyncio.run(sample))
    for name, samples in rows.items():
        p50, p99 = _median(s.p50 for s in samples), _median(s.p99 for s in samples)
        print(f"| {name} token | {p50 * 1000:.2f} | {p99 * 1000:.2f} |", flush=True)


def _median(values: Iterator[float]) -> float:
    return statistics.median(values)


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


if __name__ == "__main__":
    main()
