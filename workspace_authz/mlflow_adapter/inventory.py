"""The routes that MLflow's app serves, and those of them that the catalog does not know.

A route object of an unknown kind is reported as uncovered, so that nothing is served without a rule.
``python -m workspace_authz.mlflow_adapter.inventory`` prints as JSON the uncovered routes and, since both say
whether an MLflow is fully supported, what it lacks (:mod:`.compat`).
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final

from fastapi import FastAPI
from flask import Flask
from mlflow.server import fastapi_app
from starlette.routing import Mount, Route, WebSocketRoute
from werkzeug.routing import Rule

from workspace_authz.catalog.compile import CompiledCatalog, compile_catalog
from workspace_authz.catalog.entries import ServedRoute
from workspace_authz.catalog.model import Server
from workspace_authz.mlflow_adapter.compat import find_gaps, refuse_unknown_mlflow
from workspace_authz.mlflow_adapter.options import from_environment

ANY_METHOD: Final = "*"
"""Stands for the method of a route object of an unknown kind. No entry of the catalog has it."""

WEBSOCKET: Final = "WEBSOCKET"
"""Stands for the method of a WebSocket. No entry of the catalog has it."""

_FLASK_PARAMETER: Final = re.compile(r"<(?:([^<>:]+):)?([^<>:]+)>")
_FLASK_CONVERTERS: Final = {None: "", "default": "", "string": "", "path": ":path"}


def installed_app() -> FastAPI:
    """The app of the MLflow that is installed, which serves nobody here."""
    app: FastAPI = fastapi_app.create_fastapi_app()
    return app


def served_routes(app: FastAPI) -> frozenset[ServedRoute]:
    """The routes of ``app`` and of what is mounted in it, without HEAD of a GET and Flask's own OPTIONS."""
    return frozenset(_native(_routes(app), ""))


def uncovered_routes(app: FastAPI, catalog: CompiledCatalog) -> list[ServedRoute]:
    """The served routes without an entry in the catalog, sorted."""
    return sorted(route for route in served_routes(app) if not catalog.covers(route.method, route.path))


def _routes(app: Any) -> Iterator[Any]:
    """The route objects of ``app``.

    FastAPI 0.165 keeps an included router as one object, and frontends (``app.frontend``) in a separate list.
    """
    for route in app.routes:
        if hasattr(route, "effective_route_contexts"):
            for context in route.effective_route_contexts():
                # For FastAPI's own routes the context stands for the route: only it has the router's prefix.
                yield context.starlette_route or context
        else:
            yield route
    yield from getattr(getattr(app, "router", app), "_iter_low_priority_routes", tuple)()


def _native(routes: Iterable[Any], prefix: str) -> Iterator[ServedRoute]:
    for route in routes:
        path = f"{prefix}{getattr(route, 'path', '')}"
        if isinstance(route, Mount):
            yield from _mounted(route, path)
        elif isinstance(getattr(route, "original_route", route), Route):
            yield from (ServedRoute(method, path, Server.FASTAPI) for method in _methods(route.methods))
        elif isinstance(route, WebSocketRoute):
            yield ServedRoute(WEBSOCKET, path, Server.FASTAPI)
        else:
            yield _unknown(route, path)


def _mounted(mount: Mount, path: str) -> Iterator[ServedRoute]:
    flask = _flask_app(mount.app)
    if flask is not None:
        yield from (served for rule in flask.url_map.iter_rules() for served in _flask(rule, path))
    elif hasattr(mount.app, "routes"):
        yield from _native(_routes(mount.app), path)
    else:
        yield _unknown(mount.app, f"{path}/{{path:path}}")


def _flask_app(app: Any) -> Flask | None:
    """The Flask application below its WSGI wrappers, each of which keeps the next in ``app``."""
    while app is not None and not isinstance(app, Flask):
        app = getattr(app, "app", None)
    return app


def _flask(rule: Rule, prefix: str) -> Iterator[ServedRoute]:
    path = prefix + _FLASK_PARAMETER.sub(_parameter, rule.rule)
    if rule.websocket:
        yield ServedRoute(WEBSOCKET, path, Server.FLASK)
        return
    automatic = getattr(rule, "provide_automatic_options", False)
    for method in _methods(rule.methods):
        if not (automatic and method == "OPTIONS"):
            yield ServedRoute(method, path, Server.FLASK)


def _parameter(found: re.Match[str]) -> str:
    return f"{{{found[2]}{_FLASK_CONVERTERS.get(found[1], f':{found[1]}')}}}"


def _methods(methods: Iterable[str] | None) -> Iterator[str]:
    """Each method that needs its own entry: HEAD is judged as GET where a route has both."""
    known = frozenset(methods or (ANY_METHOD,))
    return (method for method in known if method != "HEAD" or "GET" not in known)


def _unknown(route: object, path: str) -> ServedRoute:
    return ServedRoute(
        ANY_METHOD, f"{path} ({type(route).__module__}.{type(route).__qualname__})", Server.FASTAPI
    )


def main() -> None:
    """Print ``{"uncovered": ["METHOD path", …], "gaps": ["MLflow … lacks …", …]}`` on standard output.

    Raises :class:`ConfigurationError` for an MLflow that cannot be guarded.
    """
    refuse_unknown_mlflow(())
    catalog = compile_catalog(static_prefix=from_environment(os.environ).static_prefix)
    uncovered = uncovered_routes(installed_app(), catalog)
    json.dump({"uncovered": list(map(str, uncovered)), "gaps": list(map(str, find_gaps()))}, sys.stdout)


if __name__ == "__main__":
    main()
