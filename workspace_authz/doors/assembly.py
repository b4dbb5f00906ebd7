"""Stock MLflow behind the guard, as each worker builds it: everything that serving takes is imported here."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from mlflow.server import app as flask_app
from mlflow.server.fastapi_app import create_fastapi_app
from mlflow.server.fastapi_security import (
    CORSBlockingMiddleware,
    HostValidationMiddleware,
    get_allowed_origins,
)
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from workspace_authz.aio.asgi import App
from workspace_authz.catalog.compile import compile_catalog
from workspace_authz.doors import preflight
from workspace_authz.doors.asgi.guard import GuardMiddleware
from workspace_authz.doors.certificate import CertificateMiddleware
from workspace_authz.doors.explain_route import ExplainMiddleware
from workspace_authz.doors.metrics import MetricsMiddleware
from workspace_authz.doors.probes import ProbesMiddleware
from workspace_authz.mlflow_adapter.inventory import uncovered
from workspace_authz.mlflow_adapter.options import from_environment
from workspace_authz.mlflow_adapter.patches.attribution import fill_hooks
from workspace_authz.mlflow_adapter.patches.budgets import keep_spending_apart
from workspace_authz.mlflow_adapter.patches.guardrails import keep_self_calls
from workspace_authz.mlflow_adapter.patches.middlewares import lean
from workspace_authz.mlflow_adapter.patches.origins import OriginMiddleware
from workspace_authz.runtime import process
from workspace_authz.runtime.build import running
from workspace_authz.runtime.worker_config import WorkerConfig
from workspace_authz.settings import load_settings, resolve_single_namespace
from workspace_authz.telemetry.workers import RUN_DIRECTORY, make_run_directory, worker_registry_of

_log = logging.getLogger(__name__)


def create_app() -> App:
    """What uvicorn serves. Raises ``ConfigurationError``.

    The certificate is followed outside of the app: Starlette hides the server's own lifespan channel.
    """
    return CertificateMiddleware(guarded_app(), on_load=_count_certificate)


def guarded_app() -> FastAPI:
    """MLflow's own app with the guard inside its Host and CORS protection. Raises ``ConfigurationError``."""
    settings = load_settings()
    options = from_environment(os.environ)
    preflight.check(options, settings, os.environ)
    preflight.switch_off_caches(os.environ)
    if RUN_DIRECTORY not in os.environ:
        make_run_directory(os.environ, workers=1)  # not started by `mlflow server`
    app: FastAPI = create_fastapi_app()
    fill_hooks(flask_app)
    keep_self_calls(options.static_prefix)
    keep_spending_apart()
    catalog = compile_catalog(static_prefix=options.static_prefix, assistant=settings.assistant)
    unknown = uncovered(app, catalog)
    for route in unknown:
        _log.warning("no rule covers %s: it is refused", route)
    config = WorkerConfig(
        settings=settings,
        catalog=catalog.without(unknown),
        single_namespace=resolve_single_namespace(settings, mlflow_workspaces=options.workspaces),
        policy=preflight.namespace_policy(options, settings),
        workers=worker_registry_of(os.environ),
        uncovered_routes=len(unknown),
        artifact_root=options.artifact_root,
    )
    _guard(app, options.static_prefix)
    _start_with(app, config)
    return app


def _guard(app: FastAPI, static_prefix: str) -> None:
    """Order, from the outside: probes, metrics, MLflow's Host and CORS protection, ours, MLflow's workspace.

    MLflow adds its workspace middleware outside its protection (3.17.2); left there, it would tell
    strangers which namespaces exist. Its security headers stay inside: they keep one line of a header
    that is repeated, and a 401 has two challenges.
    """
    protection = [middleware for middleware in app.user_middleware if _protects(middleware)]
    inner = [middleware for middleware in app.user_middleware if not _protects(middleware)]
    app.user_middleware = [
        Middleware(ProbesMiddleware, static_prefix=static_prefix, runtime=process.current),
        Middleware(MetricsMiddleware, static_prefix=static_prefix, runtime=process.require),
        *protection,
        *_origins(protection),
        Middleware(ExplainMiddleware, static_prefix=static_prefix, runtime=process.require),
        Middleware(GuardMiddleware, guard=process.require),
        *lean(inner, static_prefix=static_prefix),
    ]


def _origins(protection: list[Middleware]) -> list[Middleware]:
    """The check of other sites' requests on all paths, unless MLflow's is switched off."""
    if not any(middleware.cls is CORSBlockingMiddleware for middleware in protection):
        return []
    return [Middleware(OriginMiddleware, allowed=get_allowed_origins())]


def _count_certificate(loaded: bool) -> None:
    runtime = process.current()
    if runtime is not None:
        runtime.metrics.certificate(loaded=loaded)


def _protects(middleware: Middleware) -> bool:
    return middleware.cls in (HostValidationMiddleware, CORSMiddleware, CORSBlockingMiddleware)


def _start_with(app: FastAPI, config: WorkerConfig) -> None:
    """Run the guard's background work for as long as the app runs."""
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(application: FastAPI) -> AsyncIterator[Any]:
        async with running(config), inner(application) as state:
            yield state

    app.router.lifespan_context = lifespan
