"""The app of a worker: MLflow's own, with the guard in it."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import partial

from workspace_authz.aio.asgi import App
from workspace_authz.catalog.compile import compile_catalog
from workspace_authz.doors import preflight
from workspace_authz.doors.asgi.guard import GuardMiddleware
from workspace_authz.doors.browser.middleware import BrowserMiddleware
from workspace_authz.doors.certificate import CertificateMiddleware, count_reload
from workspace_authz.doors.explain_route import ExplainMiddleware
from workspace_authz.doors.lifespan import OwnAddressesMiddleware
from workspace_authz.doors.metrics import MetricsMiddleware
from workspace_authz.doors.people import asking, audit, keys_api, keys_page, permissions_page, you
from workspace_authz.doors.people.contract import routes as contract
from workspace_authz.doors.probes import ProbesMiddleware
from workspace_authz.doors.public_urls import allow_public_urls, public_urls
from workspace_authz.doors.request_head import RequestHeadMiddleware
from workspace_authz.doors.sign_in.logout import LogoutMiddleware
from workspace_authz.doors.sign_in.routes import SignInMiddleware
from workspace_authz.doors.visits import OwnRoute, OwnRoutesMiddleware
from workspace_authz.mlflow_adapter.compat import find_gaps, refused_operations
from workspace_authz.mlflow_adapter.inventory import uncovered_routes
from workspace_authz.mlflow_adapter.options import from_environment
from workspace_authz.mlflow_adapter.server import (
    GuardMiddlewares,
    Wrap,
    add_background,
    add_guard,
    create_patched_app,
)
from workspace_authz.runtime import process
from workspace_authz.runtime.build import running
from workspace_authz.runtime.worker_config import WorkerConfig
from workspace_authz.settings.settings import Settings, load_settings, resolve_single_namespace
from workspace_authz.telemetry.workers import RUN_DIRECTORY, make_run_directory, worker_registry_of

_log = logging.getLogger(__name__)


def create_app() -> App:
    """The ASGI app that uvicorn serves. Raises :class:`ConfigurationError`.

    Middlewares are outside of the FastAPI app because Starlette does not pass the server's own lifespan
    channel on, and a request with too large a head must reach nothing else.
    """
    app: App = CertificateMiddleware(guarded_app(), on_load=count_reload)
    if load_settings().proxy_networks:
        app = OwnAddressesMiddleware(app)
    return RequestHeadMiddleware(
        app, static_prefix=from_environment(os.environ).static_prefix, runtime=process.current
    )


def guarded_app() -> App:
    """MLflow's FastAPI app with the guard in it. Raises :class:`ConfigurationError`."""
    settings = load_settings()
    options = from_environment(os.environ)
    preflight.check(options, settings, environ=os.environ)
    preflight.switch_off_caches(os.environ)
    allow_public_urls(settings.public_url, os.environ)
    preflight.bound_calls(os.environ)
    if RUN_DIRECTORY not in os.environ:
        make_run_directory(os.environ, workers=1)  # not started by `mlflow server`
    app = create_patched_app(static_prefix=options.static_prefix)
    gaps = find_gaps()
    for gap in gaps:
        _log.warning("%s", gap)
    catalog = compile_catalog(
        static_prefix=options.static_prefix, assistant=settings.assistant, refused=refused_operations(gaps)
    )
    uncovered = uncovered_routes(app, catalog)
    for route in uncovered:
        _log.warning("no rule covers %s: it is refused", route)
    config = WorkerConfig(
        settings=settings,
        catalog=catalog.without(uncovered),
        single_namespace=resolve_single_namespace(settings, mlflow_workspaces=options.workspaces),
        policy=preflight.namespace_policy(options, settings),
        workers=worker_registry_of(os.environ),
        uncovered_routes=len(uncovered),
        missing_functions=len(gaps),
        artifact_root=options.artifact_root,
        artifacts_destination=options.artifacts_destination if options.serve_artifacts else None,
        databases=options.databases,
        origins=[url.origin for url in public_urls(settings.public_url)],
        static_prefix=options.static_prefix,
    )
    middlewares = _middlewares(options.static_prefix, browsers=_for_browsers(settings, options.static_prefix))
    add_guard(app, middlewares, static_prefix=options.static_prefix)
    add_background(app, partial(running, config))
    return app


def _for_browsers(settings: Settings, static_prefix: str) -> Sequence[Wrap]:
    """What serves people in a browser."""
    signs_in = settings.sign_in_configuration is not None
    browser = partial(
        BrowserMiddleware,
        static_prefix=static_prefix,
        signs_in=signs_in,
        assistant=settings.assistant,
        runtime=process.require,
    )
    if not signs_in:
        return (browser,)
    urls = tuple(public_urls(settings.public_url))
    return (
        partial(LogoutMiddleware, static_prefix=static_prefix, urls=urls, runtime=process.require),
        browser,
        partial(SignInMiddleware, static_prefix=static_prefix, urls=urls, runtime=process.require),
    )


def _middlewares(static_prefix: str, *, browsers: Sequence[Wrap]) -> GuardMiddlewares:
    return GuardMiddlewares(
        public=(
            partial(ProbesMiddleware, static_prefix=static_prefix, runtime=process.current),
            partial(MetricsMiddleware, static_prefix=static_prefix, runtime=process.require),
        ),
        protected=(
            *browsers,
            partial(ExplainMiddleware, static_prefix=static_prefix, runtime=process.require),
            partial(
                OwnRoutesMiddleware,
                routes=_own_routes(),
                static_prefix=static_prefix,
                runtime=process.require,
            ),
            partial(GuardMiddleware, guard=process.require),
        ),
    )


def _own_routes() -> Sequence[OwnRoute]:
    """Routes of ours for people."""
    return (
        *you.ROUTES,
        *asking.ROUTES,
        *audit.ROUTES,
        *contract.ROUTES,
        *permissions_page.ROUTES,
        *keys_page.ROUTES,
        *keys_api.ROUTES,
    )
