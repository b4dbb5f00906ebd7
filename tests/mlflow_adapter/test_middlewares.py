"""MLflow's middlewares in their cheaper form answer as MLflow's own do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI, Request
from mlflow.entities import Workspace
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from mlflow.server import workspace_helpers
from mlflow.server.fastapi_app import add_fastapi_workspace_middleware, add_gateway_timing_middleware
from mlflow.utils.workspace_context import get_request_workspace
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.responses import Response, StreamingResponse

from workspace_authz.mlflow_adapter.patches.middlewares import (
    PathPrefixMiddleware,
    WorkspaceMiddleware,
    replace_function_middlewares,
)

HEADER = "X-MLFLOW-WORKSPACE"


class Store:
    """The workspaces of a server."""

    def get_workspace(self, name: str) -> Workspace:
        if name != "team-a":
            raise MlflowException(f"Workspace '{name}' not found.", RESOURCE_DOES_NOT_EXIST)
        return Workspace(name=name)

    def get_default_workspace(self) -> Workspace:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _workspaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    monkeypatch.setattr(workspace_helpers, "_get_workspace_store", Store)


def mlflow_like() -> FastAPI:
    """An app with nothing of MLflow's but the two middlewares."""
    app = FastAPI()
    add_fastapi_workspace_middleware(app)
    add_gateway_timing_middleware(app)

    async def seen(request: Request) -> StreamingResponse:
        async def chunks() -> AsyncIterator[str]:
            yield str(get_request_workspace())

        return StreamingResponse(chunks(), headers={"x-at-start": str(get_request_workspace())})

    for path in ("/seen", "/gateway/e/invocations", "/api/3.0/mlflow/server-info"):
        app.add_api_route(path, seen, methods=["GET"])
    return app


def replaced() -> FastAPI:
    app = mlflow_like()
    app.user_middleware = replace_function_middlewares(app.user_middleware, static_prefix="")
    return app


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes


async def ask(app: FastAPI, path: str, headers: Sequence[tuple[str, str]]) -> Answer:
    """One GET without a server."""
    sent: list[MutableMapping[str, Any]] = []

    requests = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> MutableMapping[str, Any]:
        for message in requests:
            return message
        await asyncio.Event().wait()  # the client stays
        raise AssertionError

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
    }
    await app(scope, receive, send)
    return Answer(
        sent[0]["status"],
        {name.decode(): value.decode() for name, value in sent[0]["headers"]},
        b"".join(message.get("body", b"") for message in sent[1:]),
    )


def test_both_are_recognised() -> None:
    """A later MLflow that names them otherwise keeps its own, slower."""
    found: list[object] = [middleware.cls for middleware in replaced().user_middleware]
    assert found == [PathPrefixMiddleware, WorkspaceMiddleware]


def test_others_stay_as_they_are() -> None:
    async def other(request: Request, call_next: RequestResponseEndpoint) -> Response:
        return await call_next(request)

    unknown = Middleware(BaseHTTPMiddleware, dispatch=other)
    assert replace_function_middlewares([unknown], static_prefix="") == [unknown]


@pytest.mark.parametrize("path", ["/seen", "/gateway/e/invocations", "/api/3.0/mlflow/server-info", "/none"])
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(HEADER, "team-a")],
        [(HEADER, "  team-a ")],
        [(HEADER, "team-b")],
        [(HEADER, "Not A Name")],
        [(HEADER, "")],
        [(HEADER, "team-a"), (HEADER, "team-b")],
    ],
    ids=str,
)
async def test_they_answer_as_mlflows_own(path: str, headers: Sequence[tuple[str, str]]) -> None:
    own, ours = await ask(mlflow_like(), path, headers), await ask(replaced(), path, headers)
    assert (ours.status, ours.content) == (own.status, own.content)
    assert sorted(ours.headers) == sorted(own.headers)
    assert ours.headers.get("x-at-start") == own.headers.get("x-at-start")


async def test_the_workspace_does_not_outlive_its_request() -> None:
    await ask(replaced(), "/seen", [(HEADER, "team-a")])
    assert get_request_workspace() is None


async def test_only_gateway_calls_are_timed() -> None:
    timed = await ask(replaced(), "/gateway/e/invocations", [(HEADER, "team-a")])
    untimed = await ask(replaced(), "/seen", [(HEADER, "team-a")])
    assert "x-mlflow-gateway-duration-ms" in timed.headers
    assert "x-mlflow-gateway-duration-ms" not in untimed.headers


async def test_a_prefix_moves_the_gateway() -> None:
    app = mlflow_like()
    app.user_middleware = replace_function_middlewares(app.user_middleware, static_prefix="/mlflow")
    assert "x-mlflow-gateway-duration-ms" not in (await ask(app, "/gateway/e/invocations", [])).headers
