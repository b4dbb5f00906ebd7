"""One caller's requests leave threads to others; a body has a bound on every route but uploads."""

from __future__ import annotations

import asyncio
import inspect
import json
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
from mlflow.server.fastapi_app import create_fastapi_app

from tests.doors.test_guard import SHARES, TEAM_A, TOKEN, Door, Guard
from tests.pipeline.routes import pipeline_over
from workspace_authz.aio.asgi import Message, Receive, Scope, Send
from workspace_authz.aio.fair_share import FairShare
from workspace_authz.catalog.compile import compile_catalog, compile_routes
from workspace_authz.catalog.model import (
    Authenticated,
    Guarded,
    Mount,
    Public,
    Requirement,
    Route,
    Server,
)
from workspace_authz.doors.asgi.body import BoundedBody
from workspace_authz.doors.asgi.guard import GuardMiddleware
from workspace_authz.doors.asgi.threads import holds_thread
from workspace_authz.errors import BadRequestError, RequestError, SlowClientError
from workspace_authz.mlflow_adapter.inventory import _routes
from workspace_authz.types import Resource, Verb


class Slow:
    """Stands for MLflow: each request waits until it is released."""

    def __init__(self, door: Door) -> None:
        self.waiting = 0
        self.release = asyncio.Event()
        self._answer = door.app
        door.middleware._app = self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.waiting += 1
        await self.release.wait()
        await self._answer(scope, receive, send)


async def settled() -> None:
    for _ in range(100):
        await asyncio.sleep(0)


async def test_a_caller_beyond_their_share_waits_and_then_gets_429() -> None:
    door = Door()
    slow = Slow(door)
    first = [
        asyncio.create_task(door.request("GET", "/search", TOKEN, TEAM_A))
        for _ in range(SHARES.caller + SHARES.waiting)
    ]
    await settled()
    assert slow.waiting == SHARES.caller
    assert door.sent == []
    await door.request("GET", "/search", TOKEN, TEAM_A)
    assert door.status == 429
    assert json.loads(door.body)["error_code"] == "REQUEST_LIMIT_EXCEEDED"
    assert (b"retry-after", b"1") in door.sent[0]["headers"]
    # Who needs no share is served meanwhile.
    public = asyncio.create_task(door.request("GET", "/public"))
    await settled()
    assert slow.waiting == SHARES.caller + 1
    slow.release.set()
    await asyncio.gather(public, *first)
    assert sorted(str(record["status"]) for record in door.audit.kept) == ["201"] * 4 + ["429"]


async def test_a_workspace_in_the_url_changes_nothing_in_whether_a_thread_is_held() -> None:
    """Given threads that are all in use, when a coroutine's route is called by its URL, then it is served."""
    policy = Guarded((Requirement(Verb.LIST, Resource.EXPERIMENTS),))
    path = "/api/2.0/mlflow-artifacts/artifacts/{path:path}"
    route = Route("GET", path, "DownloadArtifact", policy, server=Server.FASTAPI, mount=Mount.BOTH)
    door, share = Door(), FairShare(SHARES)
    pipeline = replace(pipeline_over(door.reviews), catalog=compile_routes([route]))
    guard = Guard(pipeline, door.audit, share=share)
    door.middleware = GuardMiddleware(door.app, guard=lambda: guard)
    async with AsyncExitStack() as others:
        for number in range(SHARES.total):
            place = share.place(RequestError("full"), caller=f"user-{number}", workspace=f"team-{number}")
            await others.enter_async_context(place)
        sent = "/workspaces/team-a/api/2.0/mlflow-artifacts/artifacts/7/x"
        await door.request("GET", sent, TOKEN, raw_path=sent.encode())
    assert door.status == 201


async def test_a_body_beyond_the_bound_is_refused_where_mlflow_reads_it() -> None:
    door = Door()
    door.app.reads = 4
    door.client = [{"type": "http.request", "body": b"x" * 2400, "more_body": True} for _ in range(4)]
    await door.request("GET", "/search", TOKEN, TEAM_A)
    assert door.status == 400
    assert "at most 5000 bytes" in door.body.decode()
    assert "WORKSPACE_AUTHZ_REQUEST_BYTES" in door.body.decode()
    assert len(door.app.received) == 2
    assert door.record["status"] == 400


async def test_a_bounded_body_has_nothing_to_say_after_its_end() -> None:
    sent: list[Message] = [{"type": "http.request", "body": b"12", "more_body": False}]
    gone: Message = {"type": "http.disconnect"}

    async def receive() -> Message:
        if sent:
            return sent.pop()
        await asyncio.sleep(0.05)
        return gone

    body = BoundedBody(receive, limit=2, stall_seconds=0.01)
    assert (await body())["body"] == b"12"
    assert await body() == gone  # waiting for it is no silence of the client
    with pytest.raises(SlowClientError):
        await BoundedBody(receive, limit=2, stall_seconds=0.01)()
    sent.append({"type": "http.request", "body": b"123"})
    with pytest.raises(BadRequestError):
        await BoundedBody(receive, limit=2)()


def test_every_handler_of_mlflow_that_runs_in_a_thread_has_a_share() -> None:
    catalog, seen = compile_catalog(assistant=True), set()
    for found in _routes(create_fastapi_app()):
        handler: Any = getattr(getattr(found, "original_route", found), "endpoint", None)
        for method in getattr(found, "methods", None) or ():
            path = found.path
            match = catalog.match(method, path)
            if handler is None or match is None or isinstance(match.route.policy, Public):
                continue
            assert holds_thread(match.route, path) is not inspect.iscoroutinefunction(handler), path
            seen.add(inspect.iscoroutinefunction(handler))
    assert seen == {True, False}


def test_flasks_handlers_have_one_also_below_the_static_prefix() -> None:
    policy = Authenticated("A test.")
    path = "/api/2.0/mlflow-artifacts/artifacts/{path:path}"
    both = Route("GET", path, "DownloadArtifact", policy, server=Server.FASTAPI, mount=Mount.BOTH)
    assert holds_thread(Route("GET", "/api/2.0/mlflow/runs/get", "GetRun", policy), "")
    assert not holds_thread(both, "/api/2.0/mlflow-artifacts/artifacts/1/a")
    assert holds_thread(both, "/prefix/api/2.0/mlflow-artifacts/artifacts/1/a")
