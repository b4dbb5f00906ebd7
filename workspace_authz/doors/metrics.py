"""``GET /metrics``, for scrapers, which reach the pod by its address and have a token."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from workspace_authz.aio.asgi import App, Receive, Scope, Send
from workspace_authz.doors.asgi.protocol import peer_of, route_path
from workspace_authz.doors.own_routes import OwnAnswer, OwnRequest, serve
from workspace_authz.errors import UnknownRouteError
from workspace_authz.identity.authenticator import Presented
from workspace_authz.runtime.metrics_page import METRICS_PATH
from workspace_authz.runtime.runtime import Runtime
from workspace_authz.telemetry.prometheus import CONTENT_TYPE


class MetricsMiddleware:
    """Answers ``/metrics`` at the root and below the static prefix, so that MLflow never does."""

    def __init__(self, app: App, *, static_prefix: str, runtime: Callable[[], Runtime]) -> None:
        self._app = app
        self._runtime = runtime
        self._paths = {f"{prefix}{METRICS_PATH}" for prefix in ("", static_prefix.rstrip("/"))}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        reads = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        if not reads or route_path(scope) not in self._paths:
            await self._app(scope, receive, send)
            return
        work = partial(_page, scope)
        await serve(work, scope=scope, send=send, runtime=self._runtime)


async def _page(scope: Scope, own: OwnRequest) -> OwnAnswer:
    page = own.runtime.metrics_page
    if page is None:
        raise UnknownRouteError("This server has no metrics.")
    presented = Presented(scope["headers"], peer=peer_of(scope), method=scope["method"])
    return OwnAnswer(await page.render(presented, identified=own.identified), CONTENT_TYPE)
