"""A guarded MLflow for the command line, without an MLflow behind it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from tests.cli.planes import Plane
from workspace_authz.catalog.compile import compile_catalog
from workspace_authz.doors.explain_route import ExplainMiddleware
from workspace_authz.doors.people import asking
from workspace_authz.doors.visits import OwnRoutesMiddleware
from workspace_authz.kubernetes.configuration import load_configuration
from workspace_authz.kubernetes.connection import caller_connection
from workspace_authz.kubernetes.reviews import ApiReviews
from workspace_authz.runtime.pipeline import ClusterParts, build_pipeline
from workspace_authz.runtime.runtime import Runtime
from workspace_authz.settings.settings import load_settings
from workspace_authz.telemetry.audit import open_audit
from workspace_authz.workspaces.requested import WorkspaceRule


class GuardedServer:
    """What a guarded MLflow answers to the command line, with the prefix /mlflow and nothing behind it."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._stack = AsyncExitStack()
        self._runtime: Runtime | None = None
        routes = OwnRoutesMiddleware(
            self._elsewhere, routes=asking.ROUTES, static_prefix="/mlflow", runtime=self._running
        )
        self._app = ExplainMiddleware(routes, static_prefix="/mlflow", runtime=self._running)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        await receive()
        await self._start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._stack.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    async def _start(self) -> None:
        connection = caller_connection(await load_configuration(str(self._plane.server)))
        self._stack.push_async_callback(connection.close)
        audit = open_audit("off", max_bytes=0, queue_size=1)
        self._stack.callback(audit.close)
        settings = load_settings()
        pipeline = build_pipeline(
            ClusterParts(ApiReviews(connection, timeout=5)),
            settings=settings,
            catalog=compile_catalog(static_prefix="/mlflow"),
            rule=WorkspaceRule(default="team-b"),
        )
        self._runtime = Runtime(pipeline, audit, settings.body_bytes, None)

    def _running(self) -> Runtime:
        assert self._runtime is not None
        return self._runtime

    async def _elsewhere(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"<html>not here</html>"})
