"""The guard writes the caller into what MLflow gets, and tells MLflow's hooks who it is."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import pytest

from tests.doors.test_guard import TEAM_A, TOKEN, Guard
from tests.harness.fakes import Records, ScriptedReviews
from tests.pipeline.routes import ROUTES, pipeline_over
from workspace_authz.aio.asgi import Message, Receive, Scope, Send
from workspace_authz.catalog.compile import compile_routes
from workspace_authz.catalog.model import Guarded, Requirement, Route
from workspace_authz.catalog.stamp import Shape, Stamp
from workspace_authz.doors.asgi.guard import GuardMiddleware
from workspace_authz.mlflow_adapter.serving import current_user
from workspace_authz.types import Resource, UserInfo, Verb

CREATE = Route(
    "POST",
    "/issues",
    "CreateIssue",
    Guarded((Requirement(Verb.CREATE, Resource.EXPERIMENTS),)),
    stamps=(Stamp(Shape.FIELD, "created_by"),),
)


@dataclass
class World:
    """A guarded application that reads one message."""

    audit: Records = field(default_factory=Records)
    scopes: list[Scope] = field(default_factory=list)
    received: list[Message] = field(default_factory=list)
    users: list[UserInfo | None] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)

    async def request(self, method: str, path: str, body: bytes, **more: object) -> None:
        pipeline = replace(pipeline_over(ScriptedReviews()), catalog=compile_routes((*ROUTES, CREATE)))
        guard = Guard(pipeline, self.audit)
        scope = {"type": "http", "method": method, "path": path, "query_string": b"", **more}
        scope["headers"] = [TOKEN, TEAM_A, (b"content-length", b"7")]
        waiting: list[Message] = [{"type": "http.request", "body": body}, {"type": "http.disconnect"}]

        async def receive() -> Message:
            return waiting.pop(0)

        async def send(message: Message) -> None:
            self.sent.append(message)

        await GuardMiddleware(self._application, guard=lambda: guard)(scope, receive, send)

    async def _application(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        self.users.append(current_user.get())
        self.received += [await receive(), await receive()]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def world() -> World:
    return World()


async def test_mlflow_gets_the_caller_in_the_body(world: World) -> None:
    await world.request("POST", "/issues", b'{"created_by": "bob"}')
    body = world.received[0]["body"]
    assert json.loads(body) == {"created_by": "alice"}
    assert world.received[1] == {"type": "http.disconnect"}
    lengths = [value for name, value in world.scopes[0]["headers"] if name == b"content-length"]
    assert lengths == [str(len(body)).encode()]


async def test_a_body_that_cannot_have_the_caller_is_refused_and_recorded(world: World) -> None:
    await world.request("POST", "/issues", b"[]")
    assert world.scopes == []
    assert world.sent[0]["status"] == 400
    assert [(one["decision"], one["status"]) for one in world.audit.kept] == [("deny", 400)]


async def test_any_other_body_is_as_it_was(world: World) -> None:
    await world.request("GET", "/search", b'{"created_by": "bob"}')
    assert world.received[0]["body"] == b'{"created_by": "bob"}'


async def test_mlflows_native_routes_and_this_task_know_the_caller(world: World) -> None:
    await world.request("GET", "/known", b"", state={"lifespan": "kept"})
    assert world.scopes[0]["state"] == {"lifespan": "kept", "username": "alice", "user_id": "alice"}
    assert [user.username for user in world.users if user] == ["alice"]
    assert current_user.get() is None


async def test_of_a_public_route_nobody_knows_the_caller(world: World) -> None:
    state: dict[str, object] = {}
    await world.request("GET", "/public", b"", state=state)
    assert world.scopes[0]["state"] == {}
    assert world.users == [None]
