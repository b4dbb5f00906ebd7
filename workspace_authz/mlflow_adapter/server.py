"""MLflow's own app: the changes made in it, and where the guard stands among its middlewares.

Written for MLflow 3.16.1, 3.17.2 and 3.18.0. The doors hand over their middlewares as values and import
nothing of MLflow.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from mlflow import server
from mlflow.server import fastapi_app, fastapi_security
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from workspace_authz.aio.asgi import App
from workspace_authz.mlflow_adapter.patches import (
    attribution,
    budgets,
    guardrails,
    judge_cache,
    regular_expressions,
    span_threads,
    store_errors,
    wsgi,
)
from workspace_authz.mlflow_adapter.patches.middlewares import replace_function_middlewares
from workspace_authz.mlflow_adapter.patches.origins import OriginMiddleware, without_loopback_origins

Wrap = Callable[[App], App]
"""Makes a middleware around an app. A ``functools.partial`` of its class shows which it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardMiddlewares:
    """The guard's own middlewares. Each sequence begins with the outer one."""

    public: Sequence[Wrap]
    """Outside of MLflow's Host and CORS protection: pages that are reached by the pod's address."""
    protected: Sequence[Wrap]
    """Inside that protection, and outside of everything else of MLflow's."""


def create_patched_app(*, static_prefix: str) -> FastAPI:
    """MLflow's app, after the process-wide patches of :mod:`workspace_authz.mlflow_adapter.patches`."""
    attribution.apply(server.app)
    budgets.apply()
    guardrails.apply(static_prefix=static_prefix)
    judge_cache.apply()
    regular_expressions.apply()
    span_threads.apply()
    store_errors.apply(server.app)
    app: FastAPI = fastapi_app.create_fastapi_app()
    wsgi.apply(app)
    return app


def add_guard(app: FastAPI, guard: GuardMiddlewares, *, static_prefix: str) -> None:
    """Put the guard's middlewares into ``app``, before it serves.

    Pages on a loopback origin are trusted only where they are asked for (:mod:`.patches.origins`).

    MLflow adds its workspace middleware outside of its Host and CORS protection (3.17.2,
    ``fastapi_app.create_fastapi_app``). Left there, it would tell unauthenticated callers which namespaces
    exist. So the order becomes: ``guard.public``, the protection, ``guard.protected``, the rest of MLflow's.
    MLflow's security headers stay in that rest: they keep one line of a repeated header, and a 401 has two
    ``WWW-Authenticate`` lines.
    """
    protection = [
        without_loopback_origins(middleware, allowed=fastapi_security.get_allowed_origins())
        for middleware in app.user_middleware
        if _protects(middleware)
    ]
    others = [middleware for middleware in app.user_middleware if not _protects(middleware)]
    app.user_middleware = [
        *map(Middleware, guard.public),
        *protection,
        *_origin_checks(protection),
        *map(Middleware, guard.protected),
        *replace_function_middlewares(others, static_prefix=static_prefix),
        Middleware(store_errors.StoreErrorsMiddleware),
    ]


def add_background(app: FastAPI, background: Callable[[], AbstractAsyncContextManager[object]]) -> None:
    """Enter ``background()`` before MLflow's own lifespan starts, and leave it after that has ended."""
    lifespan_context = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(application: FastAPI) -> AsyncIterator[Any]:
        async with background(), lifespan_context(application) as state:
            yield state

    app.router.lifespan_context = lifespan


def _protects(middleware: Middleware) -> bool:
    return middleware.cls in (
        fastapi_security.HostValidationMiddleware,
        CORSMiddleware,
        fastapi_security.CORSBlockingMiddleware,
    )


def _origin_checks(protection: Sequence[Middleware]) -> list[Middleware]:
    """Our check of ``Origin`` on all paths, unless MLflow's own check is switched off."""
    if not any(middleware.cls is fastapi_security.CORSBlockingMiddleware for middleware in protection):
        return []
    return [Middleware(OriginMiddleware, allowed=fastapi_security.get_allowed_origins())]
