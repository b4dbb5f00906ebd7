"""The CPU time of the guard: the middleware around an ASGI app that does nothing, with cached decisions."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import closing
from typing import Any

import uvloop

from bench.options import Options
from bench.report import head, row, spread
from bench.testbed import WORKSPACE, Testbed
from workspace_authz.catalog.compile import CompiledCatalog, compile_catalog
from workspace_authz.doors.asgi.guard import GuardMiddleware
from workspace_authz.kubernetes.access_reviews import Target
from workspace_authz.kubernetes.reviews import AccessAnswer, RulesAnswer
from workspace_authz.runtime.pipeline import ClusterParts, build_pipeline
from workspace_authz.runtime.runtime import Runtime
from workspace_authz.settings.settings import load_settings
from workspace_authz.telemetry.audit import open_audit_sink
from workspace_authz.telemetry.metrics import Metrics, NoMetrics
from workspace_authz.telemetry.prometheus import PrometheusMetrics
from workspace_authz.types import Attributes, UserInfo
from workspace_authz.workspaces.requested import WorkspaceRule

_REQUESTS = 10_000
_REQUESTS_BETWEEN = 300
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


class AllowingReviews:
    """Reviews that authenticate every token as one user and allow everything."""

    async def who(self, token: str) -> UserInfo:
        """The one user."""
        return UserInfo("alice", uid="1", groups=("system:authenticated", "team-a"))

    async def may(self, token: str, attributes: Attributes) -> AccessAnswer:
        """Allowed."""
        return AccessAnswer(allowed=True)

    async def rules(self, token: str, namespace: str) -> RulesAnswer:
        """No rules."""
        return RulesAnswer(rules=(), incomplete=False)

    async def may_do(self, token: str, target: Target) -> AccessAnswer:
        return AccessAnswer(allowed=True)


def run(testbed: Testbed, options: Options) -> None:
    """Print two tables of CPU time of this process."""
    catalog = compile_catalog()
    os.environ[_DIRECTORY] = str(testbed.directory)
    try:
        _tables(catalog, testbed, options)
    finally:
        del os.environ[_DIRECTORY]  # the servers of other parts must not see it


def _tables(catalog: CompiledCatalog, testbed: Testbed, options: Options) -> None:
    counted = PrometheusMetrics(0)
    head("the guard without MLflow, warm", "µs of CPU a request")
    file = str(testbed.directory / "audit.jsonl")
    for name, sink, metrics, between in (
        ("no audit, no metrics", "off", NoMetrics(), _no_work),
        ("metrics", "off", counted, _no_work),
        ("metrics and audit to a file", file, counted, _no_work),
        ("the same, between other work, as in a server", file, counted, _other_work()),
    ):
        row(name, spread(_measure(catalog, sink, metrics, between=between, rounds=options.rounds), digits=1))
    head("catalog", "µs of CPU a match")
    row(f"{_METHOD} {_PATH}", spread([_match(catalog) for _ in range(options.rounds)]))


def _measure(
    catalog: CompiledCatalog, sink: str, metrics: Metrics, *, between: Callable[[], None], rounds: int
) -> list[float]:
    settings = load_settings(audit_sink=sink)
    with closing(open_audit_sink(settings)) as audit:
        rule = WorkspaceRule(single=None, default=None, service_account=False)
        pipeline = build_pipeline(
            ClusterParts(AllowingReviews()), settings=settings, catalog=catalog, rule=rule
        )
        runtime = Runtime(pipeline, audit, settings.body_bytes, None, metrics)
        app = GuardMiddleware(_nothing, guard=lambda: runtime)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            pairs = [
                (runner.run(_times(_nothing, between)), runner.run(_times(app, between)))
                for _ in range(rounds + 1)
            ]
    return [ours - none for none, ours in pairs[1:]]


def _no_work() -> None:
    """Do nothing, so that the guard's code and data stay in the processor's caches."""


def _other_work() -> Callable[[], None]:
    """Work that evicts the processor's caches, as MLflow does between two requests, but less."""
    windows = itertools.cycle(
        [[{"number": number, "text": str(number)} for number in range(1000)] for _ in range(20)]
    )

    def work() -> None:
        json.loads(json.dumps(next(windows)))

    return work


async def _nothing(scope: Message, receive: object, send: Callable[[Message], Awaitable[None]]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _times(app: Callable[..., Awaitable[None]], between: Callable[[], None]) -> float:
    async def send(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise RuntimeError(f"status {message['status']}")

    requests = _REQUESTS if between is _no_work else _REQUESTS_BETWEEN
    begun, elsewhere = time.process_time_ns(), 0
    for _ in range(requests):
        away = time.process_time_ns()
        between()
        elsewhere += time.process_time_ns() - away
        scope = {
            "type": "http",
            "method": _METHOD,
            "path": _PATH,
            "query_string": _QUERY,
            "headers": list(_HEADERS),
            "client": ("127.0.0.1", 4711),
        }
        await app(scope, _receive, send)
    return (time.process_time_ns() - begun - elsewhere) / requests / 1000


def _match(catalog: CompiledCatalog) -> float:
    begun = time.process_time()
    for _ in range(_REQUESTS):
        catalog.match(_METHOD, _PATH)
    return (time.process_time() - begun) / _REQUESTS * _MICRO
