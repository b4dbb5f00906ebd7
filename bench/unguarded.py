"""The product's app without its guard: what the guard costs is the difference between the two."""

from __future__ import annotations

from typing import cast

from fastapi import FastAPI

from workspace_authz.doors import assembly
from workspace_authz.doors.asgi.guard import GuardMiddleware
from workspace_authz.doors.explain_route import ExplainMiddleware

_OURS = (GuardMiddleware, ExplainMiddleware)


def create_app() -> FastAPI:
    """As :func:`workspace_authz.doors.assembly.guarded_app`, with everything but the guard."""
    app = assembly.guarded_app()
    kept = [middleware for middleware in app.user_middleware if cast("object", middleware.cls) not in _OURS]
    app.user_middleware = kept
    return app
