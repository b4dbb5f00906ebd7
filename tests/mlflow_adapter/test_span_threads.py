"""MLflow converts a large export outside of the event loop, and a small one on it, as before."""

from __future__ import annotations

import asyncio
import json
import threading
from contextvars import ContextVar
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute
from mlflow.server.otel_api import export_traces, otel_router

from workspace_authz.mlflow_adapter.patches import span_threads
from workspace_authz.mlflow_adapter.patches.span_threads import LARGE_BYTES

workspace: ContextVar[str] = ContextVar("workspace", default="none")


def app() -> FastAPI:
    """An app whose one route says where it ran, and in which context."""
    router = APIRouter()

    @router.post("/where")
    async def where(request: Request) -> dict[str, object]:
        inner = await asyncio.to_thread(workspace.get)
        return {
            "thread": threading.get_ident(),
            "bytes": len(await request.body()),
            "workspace": [workspace.get(), inner],
        }

    span_threads.apply(router)
    span_threads.apply(router)
    made = FastAPI()
    made.include_router(router)
    return made


async def post(content: bytes) -> Any:
    sent: list[dict[str, Any]] = []
    parts = [content[:10], content[10:]]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/where", "headers": [], "query_string": b""}
    await app()(scope, receive, send)
    return json.loads(b"".join(message.get("body", b"") for message in sent))


async def test_a_large_body_is_taken_in_a_thread_with_its_context() -> None:
    token = workspace.set("team-a")
    try:
        for size, on_loop in ((LARGE_BYTES - 1, True), (LARGE_BYTES, False)):
            answer = await post(b"x" * size)
            assert (answer["thread"] == threading.get_ident()) is on_loop
            assert [answer["bytes"], *answer["workspace"]] == [size, "team-a", "team-a"]
    finally:
        workspace.reset(token)


def test_mlflows_endpoint_is_where_it_was() -> None:
    """A release that moves it, or makes it no coroutine, needs another patch."""
    routes = [route for route in otel_router.routes if isinstance(route, APIRoute)]
    assert [(route.path, route.methods) for route in routes] == [("/v1/traces", {"POST"})]
    assert asyncio.iscoroutinefunction(export_traces)
    assert getattr(routes[0].endpoint, "__wrapped__", routes[0].endpoint) is export_traces
