"""MLflow's check of ``Origin`` on every path, and for loopback origins, too (MLflow 3.16.1 and 3.17.2).

``mlflow.server.fastapi_security.CORSBlockingMiddleware`` looks for ``/api/`` and ``/ajax-api/`` at the
beginning of ASGI's whole path. Without this patch another site's request changes data where it finds neither:
below uvicorn's ``--root-path``, and on GraphQL, the AI gateway, OTLP and our own routes.

MLflow trusts every page on ``http://localhost:*`` and lets it send the browser's credentials. That is made
for a server on the same machine. To a shared server such a page is as foreign as any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch
from typing import Any, Final
from urllib.parse import urlsplit

from mlflow.server import security_utils
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from workspace_authz.aio.asgi import App, Receive, Scope, Send

BLOCKED: Final = "Cross-origin request blocked"
"""``security_utils.CORS_BLOCKED_MSG``."""
CHANGING_METHODS: Final = frozenset({"POST", "PUT", "DELETE", "PATCH"})
"""``security_utils.STATE_CHANGING_METHODS``."""

_LOOPBACK_PATTERN: Final = "allow_origin_regex"


class OriginMiddleware:
    """Refuses what MLflow's rule refuses, and loopback origins that are neither allowed nor the server's own.

    ``allowed`` are the origins that MLflow is configured with.
    """

    def __init__(self, app: App, *, allowed: Sequence[str]) -> None:
        self._app = app
        self._allowed = list(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http" or not self._blocks(scope):
            await self._app(scope, receive, send)
            return
        content = BLOCKED.encode()
        headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _blocks(self, scope: Scope) -> bool:
        method = scope["method"]
        if method not in CHANGING_METHODS:
            return False
        origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
        return any(
            security_utils.should_block_cors_request(origin, method, self._allowed)
            or self._is_foreign(origin, scope)
            for origin in origins
        )

    def _is_foreign(self, origin: str, scope: Scope) -> bool:
        if not security_utils.is_localhost_origin(origin) or _is_allowed(origin, self._allowed):
            return False
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        return hosts != [urlsplit(origin).netloc.encode("latin-1")]


def without_loopback_origins(middleware: Middleware, *, allowed: Sequence[str]) -> Middleware:
    """MLflow's CORS middleware without its trust in loopback origins; any other middleware as it is.

    It keeps that trust where ``allowed`` has a pattern of them, because it matches no pattern itself. Then
    :class:`OriginMiddleware` decides about requests that change something.
    """
    kind: object = middleware.cls
    if kind is not CORSMiddleware or _LOOPBACK_PATTERN not in middleware.kwargs:
        return middleware
    if any("*" in origin and security_utils.is_localhost_origin(origin) for origin in allowed):
        return middleware
    given: dict[str, Any] = {**middleware.kwargs, _LOOPBACK_PATTERN: None}
    return Middleware(CORSMiddleware, **given)


def _is_allowed(origin: str, allowed: Sequence[str]) -> bool:
    """As ``should_block_cors_request`` compares."""
    return any(fnmatch(origin, each) if "*" in each else origin == each for each in allowed)
