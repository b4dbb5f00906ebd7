"""MLflow's check of ``Origin`` on every path (MLflow 3.16.1 and 3.17.2).

``mlflow.server.fastapi_security.CORSBlockingMiddleware`` looks for ``/api/`` and ``/ajax-api/`` at the
beginning of ASGI's whole path. Without this patch another site's request changes data where it finds neither:
below uvicorn's ``--root-path``, and on GraphQL, the AI gateway, OTLP and our own routes.
"""

from __future__ import annotations

from mlflow.server.security_utils import CORS_BLOCKED_MSG, should_block_cors_request

from workspace_authz.aio.asgi import App, Receive, Scope, Send


class OriginMiddleware:
    """Refuses what MLflow's rule refuses. ``allowed`` are the origins that MLflow is configured with."""

    def __init__(self, app: App, *, allowed: list[str]) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http" or not self._blocks(scope):
            await self._app(scope, receive, send)
            return
        content = CORS_BLOCKED_MSG.encode()
        headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _blocks(self, scope: Scope) -> bool:
        return any(
            should_block_cors_request(value.decode("latin-1"), scope["method"], self._allowed)
            for name, value in scope["headers"]
            if name == b"origin"
        )
