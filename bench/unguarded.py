"""The product's app without its guard: what the guard costs is the difference between the two."""

from __future__ import annotations

from fastapi import FastAPI

from workspace_authz.doors import assembly
from workspace_authz.doors.asgi.guard import GuardMiddleware
from workspace_authz.doors.explain_route import ExplainMiddleware

_OURS = (GuardMiddleware, ExplainMiddleware)


def create_app() -> FastAPI:
    """As :func:`workspace_authz.doors.assembly.guarded_app`, with everything but the guard."""
    app = assembly.guarded_app()
    assert isinstance(app, FastAPI)
    app.user_middleware = [
        middleware for middleware in app.user_middleware if getattr(middleware.cls, "func", None) not in _OURS
    ]
    return app
