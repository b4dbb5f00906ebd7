"""The guard alone: the middleware around an ASGI app that does nothing, every answer cached."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import closing
from typing import Any

import uvloop

from bench.options import Options
from bench.report import head, row, spread
from bench.stage import WORKSPACE, Stage
from workspace_authz.catalog.compile import CompiledCatalog, compile_catalog
from workspace_authz.enforcement.middleware import GuardMiddleware
from workspace_authz.kubernetes.reviews import AccessAnswer, RulesAnswer
from workspace_authz.runtime.joined import build_pipeline
from workspace_authz.runtime.runtime import Runtime
from workspace_authz.runtime.sink import open_audit_sink
from workspace_authz.settings import load_settings
from workspace_authz.telemetry.metrics import Metrics, NoMetrics
from workspace_authz.telemetry.prometheus import PrometheusMetrics
from workspace_authz.types import Attributes, UserInfo
from workspace_authz.workspaces.requested import WorkspaceRule

_REQUESTS = 10_000
_MICRO = 1e6
_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
_METHOD, _PATH, _QUERY = "GET", "/api/2.0/mlflow/experiments/get", b"experiment_id=1"
_HEADERS = [
    (b"host", b"mlflow.example"),
    (b"user-agent", b"mlflow-python-client/3.17.2"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"authorization", b"Bearer " + b"x" * 900),
    (b"x-mlflow-workspace", WORKSPACE.encode()),
]
Message = MutableMapping[str, Any]


class Yes:
    """An API server that knows everybody and allows everything."""

    async def who(self, token: str) -> UserInfo:
        """The one user there is."""
        return UserInfo("alice", uid="1", groups=("system:authenticated", "team-a"))

    async def may(self, token: str, attributes: Attributes) -> AccessAnswer:
        """Yes."""
        return AccessAnswer(allowed=True)

    async def rules(self, token: str, namespace: str) -> RulesAnswer:
        """Nothing to tell."""
        return RulesAnswer(rules=(), incomplete=False)


def run(stage: Stage, options: Options) -> None:
    """Print two tables, of CPU time of this process."""
    catalog = compile_catalog()
    os.environ[_DIRECTORY] = str(stage.directory)
    try:
        _tables(catalog, stage, options)
    finally:
        del os.environ[_DIRECTORY]  # it is not for the servers of other parts


def _tables(catalog: CompiledCatalog, stage: Stage, options: Options) -> None:
    counted = PrometheusMetrics(0)
    head("the guard alone, warm", "µs of CPU a request")
    for name, sink, metrics in (
        ("no audit, no metrics", "off", NoMetrics()),
        ("metrics", "off", counted),
        ("metrics and audit to a file", str(stage.directory / "audit.jsonl"), counted),
    ):
        row(name, spread(_measure(catalog, sink, metrics, options.rounds), digits=1))
    head("catalog", "µs of CPU a match")
    row(f"{_METHOD} {_PATH}", spread([_match(catalog) for _ in range(options.rounds)]))


def _measure(catalog: CompiledCatalog, sink: str, metrics: Metrics, rounds: int) -> list[float]:
    settings = load_settings(audit_sink=sink)
    with closing(open_audit_sink(settings)) as audit:
        rule = WorkspaceRule(single=None, default=None, service_account=False)
        pipeline = build_pipeline(Yes(), settings=settings, catalog=catalog, rule=rule, workspaces=None)
        runtime = Runtime(pipeline, audit, settings.body_bytes, None, metrics)
        app = GuardMiddleware(_nothing, guard=lambda: runtime)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            bare = [runner.run(_times(_nothing)) for _ in range(rounds + 1)]
            guarded = [runner.run(_times(app)) for _ in range(rounds + 1)]
    return [ours - none for ours, none in zip(guarded[1:], bare[1:], strict=True)]


async def _nothing(scope: Message, receive: object, send: Callable[[Message], Awaitable[None]]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _times(app: Callable[..., Awaitable[None]]) -> float:
    async def send(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise RuntimeError(f"status {message['status']}")

    begun = time.process_time()
    for _ in range(_REQUESTS):
        scope = {
            "type": "http",
            "method": _METHOD,
            "path": _PATH,
            "query_string": _QUERY,
            "headers": list(_HEADERS),
            "client": ("127.0.0.1", 4711),
        }
        await app(scope, _receive, send)
    return (time.process_time() - begun) / _REQUESTS * _MICRO


def _match(catalog: CompiledCatalog) -> float:
    begun = time.process_time()
    for _ in range(_REQUESTS):
        catalog.match(_METHOD, _PATH)
    return (time.process_time() - begun) / _REQUESTS * _MICRO
