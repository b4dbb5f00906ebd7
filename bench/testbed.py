"""The testbed of the benchmarks: a cluster with one team, its users' tokens, and servers on it."""

from __future__ import annotations

import itertools
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.load import Work
from bench.servers import Server, await_answer, devplane, mlflow_server

WORKSPACE = "team-a"
TOKENS = 20_000
MANIFEST = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: {WORKSPACE}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: bench, namespace: {WORKSPACE}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: mlflow-edit}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: Group, name: bench}}]
"""

Headers = Iterator[Mapping[str, str]]

_ENTRY_POINT = "[mlflow.app]\nbench-unguarded = bench.unguarded:create_app\n"


def token(number: int) -> str:
    """The token of one of the team's users. Nobody has used it before."""
    return f"bench-token-{number}"


def headers(which: Callable[[], int] = lambda: 0) -> Headers:
    """For each request a caller, in the team's workspace."""
    while True:
        yield {"authorization": f"Bearer {token(which())}", "x-mlflow-workspace": WORKSPACE}


@dataclass(slots=True)
class Testbed:
    """One Kubernetes API and any number of servers. Everything ends with ``stack``."""

    stack: ExitStack
    directory: Path
    engine: str
    manifests: str = MANIFEST
    users: Sequence[str] = ()
    """More lines of the token file: ``token,name,uid,"group,group"``."""
    _ready: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def plane(self) -> Mapping[str, str]:
        """The Kubernetes API, started when it is first needed: its kubeconfigs and URL."""
        if not self._ready:
            users, manifests = self.directory / "users.csv", self.directory / "bench.yaml"
            lines = [f'{token(number)},user-{number},uid-{number},"bench"' for number in range(TOKENS)]
            users.write_text("\n".join([*lines, *self.users]) + "\n")
            manifests.write_text(self.manifests)
            self._ready = self.stack.enter_context(
                devplane(self.engine, self.directory / "plane", users, manifests)
            )
        return self._ready

    def stock(self) -> Server:
        """MLflow as ``pip install mlflow`` gives it: workspaces in its own SQL store, asyncio and h11."""
        server = self.starting_stock(self._fresh("stock"))
        await_answer(server, "/health")
        post(server, "/api/3.0/mlflow/workspaces", {"name": WORKSPACE}, {})
        return server

    def starting_stock(self, data: Path) -> Server:
        """The same with its database in ``data``, without waiting for it."""
        return self._start("stock", data, ["--uvicorn-opts", "--loop asyncio --http h11 --no-access-log"], {})

    def guarded(self, *, workers: int = 1, **settings: str) -> Server:
        """The product."""
        server = self.starting_guarded(self._fresh("guarded"), workers=workers, **settings)
        await_answer(server, "/readyz")
        return server

    def starting_guarded(self, data: Path, *, workers: int = 1, **settings: str) -> Server:
        """The same with its database in ``data``, without waiting for it."""
        arguments = ["--app-name", "workspace-authz", "--workers", str(workers), *_PROVIDER]
        return self._start("guarded", data, arguments, self._settings(settings))

    def unguarded(self) -> Server:
        """The same server with the same provider and event loop, without the guard."""
        site = self.directory / "site"
        if not site.exists():
            metadata = site / "bench_unguarded-0.dist-info"
            metadata.mkdir(parents=True)
            (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-unguarded\nVersion: 0\n")
            (metadata / "entry_points.txt").write_text(_ENTRY_POINT)
        path = os.pathsep.join([str(site), str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
        settings = {**self._settings({}), "PYTHONPATH": path}
        arguments = ["--app-name", "bench-unguarded", *_PROVIDER]
        server = self._start("unguarded", self._fresh("unguarded"), arguments, settings)
        await_answer(server, "/readyz")
        return server

    def _settings(self, settings: Mapping[str, str]) -> dict[str, str]:
        return {
            "KUBECONFIG": self.plane["server_kubeconfig"],
            "WORKSPACE_AUTHZ_AUDIT_SINK": str(self.directory / "audit.jsonl"),
            **settings,
        }

    def _fresh(self, name: str) -> Path:
        return self.directory / f"{name}-{next(self._numbers)}"

    def _start(
        self, name: str, data: Path, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> Server:
        return self.stack.enter_context(
            mlflow_server(name, data, arguments=arguments, environment=environment)
        )


_PROVIDER = ["--workspace-store-uri", "kubernetes://", "--uvicorn-opts", "--no-access-log"]


def post(
    server: Server, path: str, body: Mapping[str, Any], more: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """See :func:`post_to`."""
    return post_to(server.url, path, body, more)


def post_to(
    url: str, path: str, body: Mapping[str, Any], more: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """One request that must succeed, by the first of the team's users unless ``more`` says otherwise."""
    sent = {"content-type": "application/json", **(next(headers()) if more is None else more)}
    request = urllib.request.Request(url + path, json.dumps(body).encode(), sent)
    try:
        response = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        raise RuntimeError(error.read().decode()) from error
    with response:
        answer: dict[str, Any] = json.load(response)
        return answer


def works(server: Server, more: Mapping[str, str] | None = None) -> tuple[Work, Work]:
    """A read and a write of an experiment made for them, by whom :func:`post_to` says."""
    name = f"bench-{os.urandom(4).hex()}"
    identifier = post(server, "/api/2.0/mlflow/experiments/create", {"name": name}, more)["experiment_id"]
    run = post(server, "/api/2.0/mlflow/runs/create", {"experiment_id": identifier}, more)["run"]
    metric = {"run_id": run["info"]["run_id"], "key": "m", "value": 1.0, "timestamp": 0, "step": 0}
    return (
        Work("get experiment", "GET", f"/api/2.0/mlflow/experiments/get?experiment_id={identifier}"),
        Work("log metric", "POST", "/api/2.0/mlflow/runs/log-metric", metric),
    )
