"""The guard at the ASGI door: what reaches MLflow, what the caller, and one record of each request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.harness.fakes import NO, Records, ScriptedReviews
from tests.pipeline.routes import KnownWorkspaces, pipeline_over
from workspace_authz.aio.asgi import Message, Receive, Scope, Send
from workspace_authz.aio.fair_share import FairShare, Shares
from workspace_authz.doors.asgi.guard import EVERY_EFFECT, GuardMiddleware
from workspace_authz.doors.asgi.protocol import route_path
from workspace_authz.effects.effects import EffectKind
from workspace_authz.errors import UnauthenticatedError, UnavailableError
from workspace_authz.history.history import History
from workspace_authz.mlflow_adapter.serving import visible_workspaces
from workspace_authz.pipeline.pipeline import Pipeline
from workspace_authz.telemetry.metrics import Metrics, NoMetrics
from workspace_authz.workspaces.requested import WorkspaceRule

TOKEN = (b"authorization", b"Bearer alice-token")
TEAM_A = (b"x-mlflow-workspace", b"team-a")
Header = tuple[bytes, bytes]


SHARES = Shares(total=4, caller=2, workspace=3, waiting=1, waiting_seconds=5.0)


@dataclass
class Guard:
    """What the middleware needs of a worker."""

    pipeline: Pipeline
    audit: Records
    body_bytes: int = 1000
    metrics: Metrics = field(default_factory=NoMetrics)
    request_bytes: int = 5000
    share: FairShare = field(default_factory=lambda: FairShare(SHARES))
    history: History | None = None


@dataclass
class Application:
    """Stands for MLflow: notes what it gets and answers 201 in two parts."""

    scopes: list[Scope] = field(default_factory=list)
    received: list[Message] = field(default_factory=list)
    visible: list[frozenset[str] | None] = field(default_factory=list)
    reads: int = 0
    fails_before: BaseException | None = None
    fails_after_start: BaseException | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        self.visible.append(visible_workspaces.get())
        for _ in range(self.reads):
            self.received.append(await receive())
        if self.fails_before is not None:
            raise self.fails_before
        if scope["type"] != "http":
            return
        await send({"type": "http.response.start", "status": 201, "headers": []})
        if self.fails_after_start is not None:
            raise self.fails_after_start
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})


class Door:
    """The middleware between a client and the application."""

    def __init__(self, rule: WorkspaceRule | None = None, *, history: History | None = None) -> None:
        self.reviews = ScriptedReviews()
        self.audit = Records()
        self.workspaces = KnownWorkspaces()
        self.app = Application()
        self.sent: list[Message] = []
        self.address = "10.0.0.1"
        pipeline = pipeline_over(self.reviews, rule=rule, workspaces=self.workspaces)
        guard = Guard(pipeline, self.audit, history=history)
        self.middleware = GuardMiddleware(self.app, guard=lambda: guard)
        self.client: list[Message] = [{"type": "http.request", "body": b"{}"}]

    async def request(
        self,
        method: str,
        path: str,
        *headers: Header,
        root_path: str = "",
        raw_path: bytes = b"",
        query: bytes = b"",
    ) -> None:
        scope: Scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": raw_path,
            "root_path": root_path,
            "query_string": query,
            "headers": list(headers),
            "client": (self.address, 50000),
        }
        await self.middleware(scope, self._receive, self._send)

    async def _receive(self) -> Message:
        return self.client.pop(0)

    async def _send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def record(self) -> Mapping[str, Any]:
        assert len(self.audit.kept) == 1
        return self.audit.kept[0]


@pytest.fixture
def door() -> Door:
    return Door()


async def test_an_allowed_request_passes_message_by_message(door: Door) -> None:
    await door.request("GET", "/search", TOKEN, TEAM_A)
    assert [message["type"] for message in door.sent] == ["http.response.start"] + ["http.response.body"] * 2
    assert (door.status, door.body) == (201, b"onetwo")
    assert door.record["status"] == 201
    assert door.record["decision"] == "allow"


async def test_mlflow_gets_no_credential_and_the_one_checked_workspace(door: Door) -> None:
    await door.request(
        "GET",
        "/workspaces/team-b",
        TOKEN,
        TEAM_A,
        (b"x-forwarded-user", b"root"),
        (b"x_mlflow_workspace", b"team-c"),
        (b"accept", b"*/*"),
    )
    assert door.status == 403  # alice holds nothing in team-b
    await door.request("GET", "/search", TOKEN, TEAM_A, (b"x_mlflow_workspace", b"b"), (b"accept", b"*/*"))
    assert door.app.scopes[0]["headers"] == [(b"accept", b"*/*"), (b"x-mlflow-workspace", b"team-a")]


async def test_on_a_public_route_mlflow_gets_no_body_whatever_was_sent(door: Door) -> None:
    """Given a body on a public route, when MLflow reads it, then it is empty and nothing is kept."""
    door.app.reads = 2
    door.client = [
        {"type": "http.request", "body": b"x" * 1000, "more_body": True},
        {"type": "http.request", "body": b"x" * 1000, "more_body": True},
        {"type": "http.disconnect"},
    ]
    await door.request("GET", "/public", (b"content-length", b"9999"), (b"transfer-encoding", b"chunked"))
    assert door.app.received == [
        {"type": "http.request", "body": b"", "more_body": False},
        {"type": "http.disconnect"},
    ]
    assert door.app.scopes[0]["headers"] == []
    assert door.status == 201


async def test_a_door_that_cannot_apply_an_effect_refuses(door: Door) -> None:
    door.middleware._applies = EVERY_EFFECT - {EffectKind.EMPTY_BODY}
    await door.request("GET", "/public")
    assert door.status == 501
    assert json.loads(door.body)["error_code"] == "NOT_IMPLEMENTED"
    assert (door.app.scopes, door.record["decision"]) == ([], "error")


async def test_on_a_public_route_mlflow_gets_no_workspace_at_all(door: Door) -> None:
    await door.request("GET", "/public", TOKEN, TEAM_A)
    assert door.app.scopes[0]["headers"] == []


async def test_without_workspaces_mlflow_is_told_of_none_for_it_would_refuse_it() -> None:
    for given in ((), (TEAM_A,)):
        door = Door(WorkspaceRule(single="team-a"))
        await door.request("GET", "/search", TOKEN, *given)
        assert door.status == 201
        assert door.app.scopes[0]["headers"] == []
        assert door.record["workspace"] == "team-a"


async def test_the_callers_scope_is_left_as_it_was(door: Door) -> None:
    headers = [TOKEN, TEAM_A]
    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/search",
        "query_string": b"",
        "headers": headers,
    }
    await door.middleware(scope, door._receive, door._send)
    assert scope["headers"] is headers
    assert headers == [TOKEN, TEAM_A]


@pytest.mark.parametrize("root", ["", "/outside"])
async def test_mlflow_gets_the_path_without_the_workspace_in_it(door: Door, root: str) -> None:
    """Given a workspace in the URL, then MLflow finds the root path as ever, and nothing of the workspace."""
    raw_path = b"/workspaces/team-a/gateway/invoke"
    sent = root.encode() + raw_path
    await door.request("POST", sent.decode(), TOKEN, root_path=root, raw_path=sent)
    assert door.status == 201
    (scope,) = door.app.scopes
    assert (scope["path"], scope["root_path"]) == (f"{root}/gateway/invoke", root)
    assert scope["raw_path"] == f"{root}/gateway/invoke".encode()
    assert scope["headers"] == [(b"x-mlflow-workspace", b"team-a")]
    assert (door.record["workspace"], door.record["route"]) == ("team-a", "/gateway/invoke")
    assert door.record["path"] is None


async def test_a_path_without_a_workspace_arrives_as_it_was_sent(door: Door) -> None:
    await door.request("POST", "/gateway/invoke", TOKEN, TEAM_A, raw_path=b"/gateway/invok%65")
    assert door.app.scopes[0]["raw_path"] == b"/gateway/invok%65"


async def test_a_path_with_a_workspace_that_no_route_matches_is_recorded(door: Door) -> None:
    path = "/workspaces/team-a/public"
    await door.request("GET", path, TOKEN, raw_path=path.encode())
    assert door.status == 404
    assert (door.app.scopes, door.record["path"], door.record["route"]) == ([], path, None)


async def test_a_refusal_has_mlflows_error_shape(door: Door) -> None:
    await door.request("GET", "/search", TEAM_A)
    start = door.sent[0]
    headers = start["headers"]
    assert start["status"] == 401
    assert (b"content-type", b"application/json") in headers
    assert (b"content-length", str(len(door.body)).encode()) in headers
    assert next(value for name, value in headers if name == b"www-authenticate").startswith(b"Bearer")
    document = json.loads(door.body)
    assert document.keys() == {"error_code", "message"}
    assert document["error_code"] == "UNAUTHENTICATED"
    assert door.app.scopes == []


async def test_an_error_of_the_api_server_says_when_to_come_back(door: Door) -> None:
    door.reviews.may_answer = UnavailableError("The API server is away.")
    await door.request("GET", "/search", TOKEN, TEAM_A)
    assert door.status == 503
    assert (b"retry-after", b"1") in door.sent[0]["headers"]
    assert json.loads(door.body)["error_code"] == "TEMPORARILY_UNAVAILABLE"


async def test_an_address_with_too_many_rejected_tokens_waits_alone(door: Door) -> None:
    door.reviews.who_answer = UnauthenticatedError("bad")
    for number in range(101):
        door.sent.clear()
        door.audit.kept.clear()
        await door.request("GET", "/search", (b"authorization", b"Bearer invented-%d" % number), TEAM_A)
    assert door.status == 429
    assert json.loads(door.body)["error_code"] == "REQUEST_LIMIT_EXCEEDED"
    assert (b"retry-after", b"1") in door.sent[0]["headers"]
    assert door.record["decision"] == "deny"
    door.sent.clear()
    door.address = "10.0.0.2"
    await door.request("GET", "/search", (b"authorization", b"Bearer invented"), TEAM_A)
    assert door.status == 401


async def test_a_refused_head_has_the_headers_and_no_body(door: Door) -> None:
    await door.request("GET", "/search", TEAM_A)
    plain = door.sent[0]
    door.sent.clear()
    await door.request("HEAD", "/search", TEAM_A)
    assert door.sent[0] == plain
    assert door.body == b""


async def test_head_is_judged_as_get(door: Door) -> None:
    await door.request("HEAD", "/search", TOKEN, TEAM_A)
    assert door.status == 201


async def test_a_body_that_was_read_for_a_name_is_replayed(door: Door) -> None:
    door.client = [
        {"type": "http.request", "body": b'{"dataset_', "more_body": True},
        {"type": "http.request", "body": b'id": "d"}', "more_body": False},
    ]
    sent = list(door.client)
    door.app.reads = 2
    await door.request("POST", "/link", TOKEN, TEAM_A)
    assert door.app.received == sent
    assert [check["verb"] for check in door.record["checks"]] == ["update", "get"]


async def test_a_body_that_no_rule_needs_is_mlflows_to_read(door: Door) -> None:
    await door.request("POST", "/gateway/invoke", TOKEN, TEAM_A)
    assert len(door.client) == 1


async def test_a_body_beyond_the_bound_counts_as_naming_and_streams_through(door: Door) -> None:
    door.client = [
        {"type": "http.request", "body": b" " * 800, "more_body": number < 3} for number in range(4)
    ]
    sent = list(door.client)
    door.app.reads = 4
    await door.request("POST", "/link", TOKEN, TEAM_A)
    assert door.app.received == sent
    assert [check["verb"] for check in door.record["checks"]] == ["update", "get"]


async def test_a_listing_sees_the_callers_workspaces_and_nobody_elses(door: Door) -> None:
    await door.request("GET", "/workspaces", TOKEN)
    await door.request("GET", "/search", TOKEN, TEAM_A)
    assert door.app.visible == [frozenset(), None]
    assert visible_workspaces.get() is None


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
async def test_what_is_not_http_passes_untouched(door: Door, kind: str) -> None:
    scope: Scope = {"type": kind, "path": "/search", "headers": [TOKEN]}
    await door.middleware(scope, door._receive, door._send)
    assert door.app.scopes == [scope]
    assert door.app.scopes[0] is scope
    assert door.audit.kept == []


async def test_before_the_worker_has_started_everything_is_a_503() -> None:
    def not_yet() -> Guard:
        raise UnavailableError("The server is starting; try again.")

    app, sent = Application(), list[Message]()

    async def send(message: Message) -> None:
        sent.append(message)

    middleware = GuardMiddleware(app, guard=not_yet)
    await middleware({"type": "http", "method": "GET", "path": "/public"}, Door()._receive, send)
    assert sent[0]["status"] == 503
    assert app.scopes == []


# The audit trail: exactly one record, whatever happens.


async def test_a_record_says_what_happened_and_holds_no_secret(door: Door) -> None:
    door.reviews.may_answer = NO
    await door.request("GET", "/search", TOKEN, TEAM_A, query=b"token=secret-query")
    record = door.record
    assert (record["method"], record["route"], record["path"]) == ("GET", "/search", None)
    assert (record["user"], record["workspace"]) == ("alice", "team-a")
    assert (record["decision"], record["status"]) == ("deny", 403)
    assert "forbidden" in record["reason"]
    assert record["duration_ms"] >= 0
    text = json.dumps(record)
    assert "alice-token" not in text
    assert "secret-query" not in text


async def test_the_path_is_recorded_only_where_no_route_was_found(door: Door) -> None:
    await door.request("GET", "/" + "x" * 10_000, TOKEN)
    assert door.record["route"] is None
    assert door.record["path"] == "/" + "x" * 511


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_an_error_of_mlflow_is_passed_on_and_recorded_once(door: Door, moment: str) -> None:
    if moment == "before":
        door.app.fails_before = RuntimeError("a bug in MLflow")
    else:
        door.app.fails_after_start = RuntimeError("a bug in MLflow")
    with pytest.raises(RuntimeError, match="a bug in MLflow"):
        await door.request("GET", "/search", TOKEN, TEAM_A)
    assert door.record["status"] == (None if moment == "before" else 201)
    assert door.record["decision"] == "allow"


async def test_a_client_that_goes_away_while_it_is_judged_is_recorded(door: Door) -> None:
    door.reviews.hold()
    request = asyncio.create_task(door.request("GET", "/search", TOKEN, TEAM_A))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert door.record["status"] is None
    assert door.record["decision"] == "error"
    assert door.sent == []
    door.reviews.release()


async def test_a_bug_in_the_judgement_lets_nothing_pass(door: Door) -> None:
    door.reviews.who_answer = RuntimeError("a bug of ours")
    with pytest.raises(RuntimeError):
        await door.request("GET", "/search", TOKEN, TEAM_A)
    assert door.app.scopes == []
    assert door.record["decision"] == "error"


@pytest.mark.parametrize("path", ["/public", "/known", "/refused", "/no/such", "/search", "/workspaces"])
async def test_every_request_leaves_one_record(door: Door, path: str) -> None:
    await door.request("GET", path, TOKEN, TEAM_A)
    assert door.record["status"] == door.status


@pytest.mark.parametrize(
    ("path", "root", "expected"),
    [
        ("/a", "", "/a"),
        ("/root/a", "/root", "/a"),
        ("/root/a", "/root/", "/a"),
        ("/root", "/root", "/"),
        ("/rooted/a", "/root", "/rooted/a"),
        ("/a", "/root", "/a"),
    ],
)
def test_the_route_path_is_the_one_below_the_root_path(path: str, root: str, expected: str) -> None:
    assert route_path({"path": path, "root_path": root}) == expected
