"""MLflow's function middlewares run without ``BaseHTTPMiddleware`` (MLflow 3.16.1, 3.17.2 and 3.18.0).

``mlflow.server.fastapi_app`` adds ``add_fastapi_workspace_middleware``, which sets the workspace,
``add_gateway_timing_middleware``, which times calls of the AI gateway, and since 3.18
``add_fastapi_artifact_transfer_middleware``, which may refuse uploads of the UI. Without this patch Starlette
starts a task group and two memory streams for each of them in every request. Here the first is plain ASGI
that calls the same functions of MLflow, and the others run for their own paths only. A middleware that is not
recognized stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any, Final

from mlflow.exceptions import MlflowException
from mlflow.server import workspace_helpers
from mlflow.utils import workspace_context
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_WORKSPACE: Final = "add_fastapi_workspace_middleware.<locals>.workspace_context_middleware"
_TIMING: Final = "add_gateway_timing_middleware.<locals>.gateway_timing_middleware"
_TRANSFER: Final = "add_fastapi_artifact_transfer_middleware.<locals>.artifact_transfer_middleware"
_UPLOAD: Final = "/ajax-api/2.0/mlflow/upload-artifact"
_HEADER: Final = workspace_helpers.WORKSPACE_HEADER_NAME.lower().encode()


def replace_function_middlewares(
    middlewares: Sequence[Middleware], *, static_prefix: str
) -> list[Middleware]:
    """``middlewares`` in the same order, MLflow's own replaced by their cheaper forms."""
    return [_replaced(middleware, static_prefix=static_prefix) for middleware in middlewares]


def _replaced(middleware: Middleware, *, static_prefix: str) -> Middleware:
    match getattr(middleware.kwargs.get("dispatch"), "__qualname__", ""):
        case name if name == _WORKSPACE:
            return Middleware(WorkspaceMiddleware)
        case name if name == _TIMING:
            return _for_path(f"{static_prefix}/gateway/", middleware)
        case name if name == _TRANSFER:
            return _for_path(static_prefix + _UPLOAD, middleware)
        case _:
            return middleware


def _for_path(prefix: str, middleware: Middleware) -> Middleware:
    return Middleware(PathPrefixMiddleware, prefix=prefix, middleware=middleware)


class WorkspaceMiddleware:
    """Resolves the workspace of a request as MLflow does, and sets it for as long as the request runs."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            workspace = workspace_helpers.resolve_workspace_for_request_if_enabled(
                scope["path"], _header(scope)
            )
        except MlflowException as error:
            refusal = JSONResponse(json.loads(error.serialize_as_json()), error.get_http_status_code())
            await refusal(scope, receive, send)
            return
        workspace_context.set_server_request_workspace(workspace.name if workspace else None)
        try:
            await self._app(scope, receive, send)
        finally:
            workspace_context.clear_server_request_workspace()


def _header(scope: MutableMapping[str, Any]) -> str | None:
    for name, value in scope["headers"]:
        if name == _HEADER:
            text: str = value.decode("latin-1")
            return text
    return None


class PathPrefixMiddleware:
    """Applies ``middleware`` to requests whose path starts with ``prefix``, and to no others."""

    def __init__(self, app: ASGIApp, *, prefix: str, middleware: Middleware) -> None:
        build: Callable[..., ASGIApp] = middleware.cls
        self._app = app
        self._prefix = prefix
        self._wrapped = build(app, *middleware.args, **middleware.kwargs)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        below = scope["type"] == "http" and scope["path"].startswith(self._prefix)
        await (self._wrapped if below else self._app)(scope, receive, send)
