"""What a fork of :mod:`.lacking` does: it starts a guarded app, as far as that goes, and asks it."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib import import_module
from typing import Any, Final

from tests.harness.fakes import Records, ScriptedReviews
from workspace_authz.aio.asgi import App, Message
from workspace_authz.aio.clock import SystemClock
from workspace_authz.errors import ConfigurationError
from workspace_authz.runtime import process
from workspace_authz.runtime.pipeline import ClusterParts, MLflowParts, build_pipeline
from workspace_authz.runtime.runtime import Runtime
from workspace_authz.runtime.worker_config import WorkerConfig

SERVED: Final = "/api/2.0/mlflow/experiments/get?experiment_id=0"
HEADERS: Final = [(b"host", b"localhost"), (b"authorization", b"Bearer token")]


def start() -> Mapping[str, Any]:
    """What was said at start, what is refused and why, and whether the rest serves."""
    said = _Said()
    logging.getLogger("workspace_authz").addHandler(said)
    try:
        import_module("workspace_authz.doors.app")
    except ConfigurationError as error:
        return {"stopped": str(error)}
    return asyncio.run(_served(said))


class _Said(logging.Handler):
    """Keeps warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


async def _served(said: _Said) -> Mapping[str, Any]:
    assembly: Any = import_module("workspace_authz.doors.assembly")
    configs: list[WorkerConfig] = []
    assembly.running = lambda config: _running(config, configs)
    app = assembly.guarded_app()
    async with app.router.lifespan_context(app):
        refused = {
            route.operation: [status, text]
            for route in (entry.route for entry in configs[0].catalog.entries)
            if getattr(route.policy, "reason", "").startswith("Refused here")
            for status, text in [await _ask(app, route.method, re.sub(r"{[^}]*}", "x", route.path))]
        }
        return {
            "warned": said.texts,
            "counted": configs[0].missing_functions,
            "refused": refused,
            "served": await _ask(app, "GET", SERVED),
            "searched": await _ask(app, "GET", "/api/2.0/mlflow/experiments/search?max_results=10"),
            "command": _command(),
        }


@asynccontextmanager
async def _running(config: WorkerConfig, configs: list[WorkerConfig]) -> AsyncIterator[None]:
    """A worker with an API server that allows everything."""
    data = import_module("workspace_authz.runtime.mlflow_data").mlflow_data(
        replace(config, policy=None), clock=SystemClock()
    )
    configs.append(config)
    pipeline = build_pipeline(
        ClusterParts(ScriptedReviews()),
        MLflowParts(reading=data.reading, store=data.objects),
        settings=config.settings,
        catalog=config.catalog,
        rule=config.rule,
    )
    process.install(Runtime(pipeline, Records(), body_bytes=1000, directory=None))
    yield
    data.close()


async def _ask(app: App, method: str, path: str) -> list[Any]:
    status, body = 0, b""

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status, body
        status = message.get("status", status)
        body += message.get("body", b"")

    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "root_path": "",
        "query_string": query.encode(),
        "headers": HEADERS,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 5000),
    }
    await app(scope, receive, send)
    return [status, body.decode()]


def _command() -> str:
    """What ``workspace-authz workspaces`` says before it begins; empty if it begins."""
    try:
        import_module("workspace_authz.mlflow_adapter.compat").demand_for_command()
    except ConfigurationError as error:
        return str(error)
    return ""
