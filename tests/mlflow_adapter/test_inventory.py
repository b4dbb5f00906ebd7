"""The walk over apps: what MLflow is today, and what it might become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from flask import Flask
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from workspace_authz.catalog.compile import compile_catalog
from workspace_authz.mlflow_adapter.inventory import served_routes, uncovered_routes


class UnknownRoute(BaseRoute):
    """A route object of a kind that the walk has never seen."""


def names(app: FastAPI) -> set[str]:
    return {str(route) for route in served_routes(app)}


def app_with(*routes: BaseRoute) -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.router.routes.extend(routes)
    return app


def hello() -> PlainTextResponse:
    return PlainTextResponse("hello")


async def raw(scope: Any, receive: Any, send: Any) -> None:
    await PlainTextResponse("hello")(scope, receive, send)


def wrapped(flask: Flask) -> Any:
    """As MLflow mounts Flask: below a WSGI adapter that keeps it in ``app``."""

    class Adapter:
        app = flask

    return Adapter()


def test_included_routers_are_flattened_with_their_prefixes() -> None:
    inner, outer, app = APIRouter(prefix="/inner"), APIRouter(prefix="/outer"), app_with()
    inner.add_api_route("/{name:path}/x", hello, methods=["POST", "PATCH"])
    outer.add_api_route("", hello)
    outer.include_router(inner, prefix="/between")
    app.include_router(outer, prefix="/p")
    app.include_router(inner)
    assert names(app) == {
        "GET /p/outer",
        "POST /p/outer/between/inner/{name:path}/x",
        "PATCH /p/outer/between/inner/{name:path}/x",
        "POST /inner/{name:path}/x",
        "PATCH /inner/{name:path}/x",
    }


def test_other_kinds_of_routes_in_an_included_router_are_found() -> None:
    async def socket(websocket: WebSocket) -> None:
        await websocket.close()

    router, app = APIRouter(), app_with()
    router.add_route("/plain", lambda request: hello(), methods=["GET"])
    router.add_api_websocket_route("/socket", socket)
    router.mount("/sub", Starlette(routes=[Route("/x", lambda request: hello(), methods=["PUT"])]))
    app.include_router(router, prefix="/p")
    assert names(app) == {"GET /p/plain", "WEBSOCKET /p/socket", "PUT /p/sub/x"}


def test_flask_is_found_below_its_mount_and_wrappers() -> None:
    flask = Flask("inventory", static_folder=None)
    flask.add_url_rule("/a/<name>", "a", str, methods=["GET", "DELETE"])
    flask.add_url_rule("/b/<path:rest>", "b", str, methods=["POST"])
    app = app_with(Mount("/below", app=wrapped(flask)), Mount("", app=wrapped(flask)))
    assert names(app) == {
        f"{method}{prefix}{path}"
        for prefix in ("", "/below")
        for method, path in (("GET ", "/a/{name}"), ("DELETE ", "/a/{name}"), ("POST ", "/b/{rest:path}"))
    }


def test_flasks_own_converters_and_methods_are_not_hidden() -> None:
    flask = Flask("inventory", static_folder=None)
    flask.add_url_rule("/i/<int:number>", "i", str)
    flask.add_url_rule("/o", "o", str, methods=["OPTIONS", "HEAD"], provide_automatic_options=False)
    assert names(app_with(Mount("", app=wrapped(flask)))) == {"GET /i/{number:int}", "OPTIONS /o", "HEAD /o"}


def test_what_the_walk_does_not_understand_is_reported(tmp_path: Path) -> None:
    app = app_with(
        UnknownRoute(), Mount("/files", app=StaticFiles(directory=tmp_path)), Mount("/raw", app=raw)
    )
    found = names(app)
    assert len(found) == 3
    assert all(route.startswith("* ") for route in found)
    assert any("UnknownRoute" in route for route in found)
    assert any(route.startswith("* /files/{path:path}") for route in found)
    assert any(route.startswith("* /raw/{path:path}") for route in found)
    assert {str(route) for route in uncovered_routes(app, compile_catalog())} == found


def test_a_frontend_is_reported(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<html>")
    app = app_with()
    app.frontend("/ui", directory=tmp_path)
    assert [str(route) for route in uncovered_routes(app, compile_catalog())] != []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_added_route_is_uncovered(method: str) -> None:
    catalog = compile_catalog()
    app = app_with()
    app.add_api_route("/api/2.0/mlflow/runs/get", hello)
    assert uncovered_routes(app, catalog) == []
    app.add_api_route("/api/2.0/mlflow/runs/new", hello, methods=[method])
    flask = Flask("inventory", static_folder=None)
    flask.add_url_rule("/api/2.0/mlflow/<thing>/new", "new", str, methods=[method])
    app.mount("/", wrapped(flask))
    found = uncovered_routes(app, catalog)
    assert [str(route) for route in found] == [
        f"{method} /api/2.0/mlflow/runs/new",
        f"{method} /api/2.0/mlflow/{{thing}}/new",
    ]
    assert catalog.without(found).match(method, "/api/2.0/mlflow/runs/new") is None
