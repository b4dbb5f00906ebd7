"""MLflow converts the spans of a large OTLP export in a thread (MLflow 3.16.1 and 3.17.2).

``mlflow.server.otel_api.export_traces`` is a coroutine that parses and converts all spans without a pause.
Only its store call leaves the event loop. Without this patch one export of many spans holds up every other
request of the worker. Here the coroutine of a large export runs on an event loop of its own, in a worker
thread. The body has been read before, and nothing else in it belongs to the server's loop.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import APIRouter
from fastapi.routing import APIRoute

from workspace_authz.mlflow_adapter.compat import optional_module

otel_api = optional_module("mlflow.server.otel_api")

LARGE_BYTES: Final = 16 * 1024
"""Of protobuf without compression, as the guard hands it on: 500 spans at most, 15 ms on the loop."""

Endpoint = Callable[..., Coroutine[Any, Any, Any]]


def apply(router: APIRouter | None = None) -> None:
    """Replace the endpoints of ``router``, MLflow's unless given, before MLflow makes its app.

    A second call changes nothing.
    """
    for route in getattr(router or getattr(otel_api, "otel_router", None), "routes", ()):
        if isinstance(route, APIRoute) and not hasattr(route.endpoint, "__wrapped__"):
            route.endpoint = in_thread_when_large(route.endpoint)


def in_thread_when_large(endpoint: Endpoint) -> Endpoint:
    """``endpoint``, which takes ``request``; for a large body it runs in a thread, in the same context."""

    @functools.wraps(endpoint)
    async def chosen(*args: Any, **kwargs: Any) -> Any:
        body = await kwargs["request"].body()
        if len(body) < LARGE_BYTES:
            return await endpoint(*args, **kwargs)
        return await asyncio.to_thread(lambda: asyncio.run(endpoint(*args, **kwargs)))

    return chosen
