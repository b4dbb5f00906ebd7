"""Another site's request changes nothing, on whichever path.

MLflow's own check (``fastapi_security.CORSBlockingMiddleware``) looks at ASGI's whole path for ``/api/`` and
``/ajax-api/``: below uvicorn's ``--root-path`` it finds neither, and GraphQL, the AI gateway, OTLP and our
own routes lie elsewhere.
"""

from __future__ import annotations

from mlflow.server.security_utils import CORS_BLOCKED_MSG, should_block_cors_request

from workspace_authz.aio.asgi import App, Receive, Scope, Send


class OriginMiddleware:
    """Refuses what MLflow's rule refuses; ``allowed`` are the origins that it is configured with."""

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
