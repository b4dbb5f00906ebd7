"""The guard carries a narrowing out: MLflow gets another request, or the caller another answer."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.doors.test_guard import TEAM_A, TOKEN, Guard
from tests.harness.fakes import Records
from tests.pipeline.world import V2
from tests.pipeline.world import World as Rights
from workspace_authz.aio.asgi import Message, Receive, Scope, Send
from workspace_authz.doors.asgi.guard import GuardMiddleware
from workspace_authz.effects.ciphers import SharedKeyCipher
from workspace_authz.mlflow_adapter.serving import current_user

FRAUD = "list experiments fraud"
FOUND = {"experiments": [{"experiment_id": "7", "name": "fraud"}, {"experiment_id": "8", "name": "churn"}]}


@dataclass
class World:
    """A guarded application that answers with ``answer``, in two parts."""

    rights: Rights
    answer: bytes = b"{}"
    audit: Records = field(default_factory=Records)
    scopes: list[Scope] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)

    async def request(self, method: str, path: str, *, query: str = "", body: bytes = b"") -> None:
        guard = Guard(self.rights.pipeline, self.audit)
        headers = [TOKEN, TEAM_A, (b"content-length", str(len(body)).encode())]
        scope = {"type": "http", "method": method, "path": path, "query_string": query.encode()}
        waiting: list[Message] = [
            {"type": "http.request", "body": body[:3], "more_body": True},
            {"type": "http.request", "body": body[3:]},
            {"type": "http.disconnect"},
        ]

        async def receive() -> Message:
            return waiting.pop(0)

        async def send(message: Message) -> None:
            self.sent.append(message)

        await GuardMiddleware(self._application, guard=lambda: guard)(
            {**scope, "headers": headers}, receive, send
        )

    async def _application(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        user = current_user.get()
        self.users.append(user.username if user else "")
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message.get("more_body", False)
        self.received.append(body)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"999")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.answer[:4], "more_body": True})
        await send({"type": "http.response.body", "body": self.answer[4:]})

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def json(self) -> Any:
        return json.loads(b"".join(message["body"] for message in self.sent[1:]))


def header(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]


async def test_mlflow_gets_the_narrowed_body() -> None:
    world = World(Rights(FRAUD))
    await world.request("POST", f"{V2}/runs/search", query="a=b", body=b'{"experiment_ids": ["7", "8"]}')
    assert json.loads(world.received[0]) == {"experiment_ids": ["7"]}
    assert header(world.scopes[0], b"content-length") == [str(len(world.received[0])).encode()]
    assert world.scopes[0]["query_string"] == b""
    assert (len(world.sent), world.users) == (3, ["alice"])  # a stream stays one


async def test_mlflow_gets_the_narrowed_query() -> None:
    world = World(Rights(FRAUD))
    await world.request("GET", f"{V2}/experiments/search", query="max_results=5", body=b'{"filter": "x"}')
    query = parse_qs(world.scopes[0]["query_string"].decode())
    assert query == {"max_results": ["5"], "filter": ["experiment_id IN (7)"]}
    assert (world.received, header(world.scopes[0], b"content-length")) == ([b""], [b"0"])


async def test_the_caller_gets_the_filtered_answer() -> None:
    world = World(Rights(FRAUD), answer=json.dumps(FOUND).encode())
    world.rights.objects.clauses = False
    await world.request("POST", f"{V2}/experiments/search", body=b'{"filter": "x"}')
    assert world.json == {"experiments": FOUND["experiments"][:1]}
    assert json.loads(world.received[0]) == {"filter": "x"}
    assert (world.status, world.users) == (200, ["alice"])
    assert header(world.sent[0], b"content-length") == [str(len(world.sent[1]["body"])).encode()]
    assert header(world.scopes[0], b"authorization") == []
    assert world.audit.kept[0]["narrowed"]["names"] == ["fraud"]
    assert (world.audit.kept[0]["status"], len(world.audit.kept)) == (200, 1)


@pytest.mark.parametrize(
    "answer", [b'{"experiments": {"name": "churn"}}', b"churn", b'{"experiments": [{}]}']
)
async def test_an_answer_that_cannot_be_filtered_is_an_error_and_nothing_of_it_leaks(answer: bytes) -> None:
    world = World(Rights(FRAUD), answer=answer)
    world.rights.objects.clauses = False
    await world.request("POST", f"{V2}/experiments/search")
    assert (world.status, world.json["error_code"]) == (500, "INTERNAL_ERROR")
    assert "churn" not in str(world.sent)
    assert (world.audit.kept[0]["status"], len(world.audit.kept)) == (500, 1)


async def test_pages_without_a_key_are_unavailable() -> None:
    world = World(Rights(FRAUD, "list experiments churn"), json.dumps(FOUND).encode())
    world.rights.objects.clauses = False
    mlflow = world.rights.pipeline.mlflow
    assert mlflow is not None
    assert mlflow.lists is not None
    lists = replace(mlflow.lists, cipher=SharedKeyCipher())
    world.rights.pipeline = replace(world.rights.pipeline, mlflow=replace(mlflow, lists=lists))
    await world.request("POST", f"{V2}/experiments/search", body=b'{"max_results": 1}')
    assert (world.status, world.audit.kept[0]["status"]) == (503, 503)
    assert "churn" not in str(world.sent)


async def test_a_broad_right_sees_the_answer_as_it_comes() -> None:
    world = World(Rights("list experiments", FRAUD), answer=json.dumps(FOUND).encode())
    await world.request("POST", f"{V2}/experiments/search", query="a=b", body=b'{"filter": "x"}')
    assert world.json == FOUND
    assert (world.received, world.scopes[0]["query_string"]) == ([b'{"filter": "x"}'], b"a=b")
    assert [message["type"] for message in world.sent] == [
        "http.response.start",
        "http.response.body",
        "http.response.body",
    ]
    assert "narrowed" not in world.audit.kept[0]
