"""``GET /metrics``: for scrapers, which reach the pod by its address and hold a token."""

from __future__ import annotations

from collections.abc import Callable

from workspace_authz.enforcement.asgi import App, Scope, Send, peer_of, refuse, route_path
from workspace_authz.enforcement.request import Receive
from workspace_authz.errors import RequestError, UnknownRouteError
from workspace_authz.runtime.runtime import Runtime
from workspace_authz.runtime.scrape import METRICS_PATH
from workspace_authz.telemetry.prometheus import CONTENT_TYPE


class MetricsMiddleware:
    """Answers ``/metrics`` at the root and below the static prefix, so that MLflow's own never does."""

    def __init__(self, app: App, *, static_prefix: str, runtime: Callable[[], Runtime]) -> None:
        self._app = app
        self._runtime = runtime
        self._paths = {f"{prefix}{METRICS_PATH}" for prefix in ("", static_prefix.rstrip("/"))}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        asked = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        if not asked or route_path(scope) not in self._paths:
            await self._app(scope, receive, send)
            return
        head = scope["method"] == "HEAD"
        try:
            page = await self._page(scope)
        except RequestError as error:
            await refuse(error, send, head=head)
            return
        headers = [
            (b"content-type", CONTENT_TYPE.encode()),
            (b"content-length", str(len(page)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if head else page})

    async def _page(self, scope: Scope) -> bytes:
        scrape = self._runtime().scrape
        if scrape is None:
            raise UnknownRouteError("This server counts nothing.")
        return await scrape.page(scope["headers"], peer=peer_of(scope))
