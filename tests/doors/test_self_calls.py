"""What MLflow may ask of this server while it serves a gateway call: as the caller, of the gateway only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.doors.test_guard import TEAM_A, TOKEN, Door
from tests.harness.fakes import NO
from workspace_authz.aio.asgi import Receive, Scope, Send
from workspace_authz.effects.headers import GUARDRAIL_BYPASS, HeaderSanitizer
from workspace_authz.errors import ForbiddenError, RequestError, UnavailableError
from workspace_authz.kubernetes.reviews import AccessAnswer
from workspace_authz.mlflow_adapter.serving import SelfAnswer, SelfCall, SelfCalls, self_calls
from workspace_authz.workspaces.requested import WorkspaceRule

INVOKE = "/gateway/invoke"
BYPASSES = [(GUARDRAIL_BYPASS, b"1"), (b"X-MLflow-Guardrail-Bypass", b"1")]
outside: ContextVar[str] = ContextVar("outside", default="nothing")

Doing = Callable[[SelfCalls], Awaitable[None]]


@dataclass
class Gateway:
    """Stands for MLflow: does something while it serves a call, and answers what it asks itself."""

    doing: Doing
    scopes: list[Scope] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    offered: list[SelfCalls | None] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    stopped: bool = False
    silence: asyncio.Event = field(default_factory=asyncio.Event)
    silent: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        calls = self_calls.get()
        self.scopes.append(scope)
        self.offered.append(calls)
        self.seen.append(outside.get())
        if calls is not None:
            outside.set("a span of the call")
            await self.doing(calls)
        elif self.silent:
            try:
                await receive()
                self.silence.set()
                await receive()
            finally:
                self.stopped = True
        else:
            self.bodies.append((await receive())["body"])
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"said":', "more_body": True})
        await send({"type": "http.response.body", "body": b'"yes"}'})


def entrance(doing: Doing, rule: WorkspaceRule | None = None) -> tuple[Door, Gateway]:
    door, app = Door(rule), Gateway(doing)
    door.middleware._app = app
    return door, app


async def nothing(_: SelfCalls) -> None:
    return


async def test_a_self_call_is_its_callers_in_the_checked_workspace() -> None:
    answers = []

    async def ask(calls: SelfCalls) -> None:
        call = SelfCall(INVOKE, {"messages": []}, {"X-MLflow-Gateway-Caller": "judge"})
        answers.append(await calls.ask(call, seconds=5))

    door, app = entrance(ask)
    await door.request("POST", INVOKE, TOKEN, TEAM_A, (b"cookie", b"x"), root_path="/outside", query=b"a=b")
    assert answers == [SelfAnswer(200, "application/json", b'{"said":"yes"}')]
    own = app.scopes[1]
    assert (own["method"], own["path"], own["query_string"]) == ("POST", "/outside/gateway/invoke", b"")
    assert own["headers"] == [
        (b"x-mlflow-gateway-caller", b"judge"),
        (b"content-type", b"application/json"),
        (b"content-length", b"16"),
        (b"x-mlflow-workspace", b"team-a"),
    ]
    assert [json.loads(body) for body in app.bodies] == [{"messages": []}]
    assert own["state"]["username"] == "alice"
    first, second = door.audit.kept
    assert (first["self_call"], first["user"], first["workspace"]) == (True, "alice", "team-a")
    assert "self_call" not in second


async def test_it_knows_nothing_of_the_call_that_is_being_served_and_starts_no_other() -> None:
    async def ask(calls: SelfCalls) -> None:
        await calls.ask(SelfCall(INVOKE, {}), seconds=5)

    door, app = entrance(ask)
    await door.request("POST", INVOKE, TOKEN, TEAM_A)
    assert app.offered[0] is not None
    assert app.offered[1] is None
    assert app.seen == ["nothing", "nothing"]
    assert self_calls.get() is None


async def test_only_a_call_of_the_gateway_gives_the_right_to_ask() -> None:
    door, app = entrance(nothing)
    door.client = [{"type": "http.request", "body": b""}]
    await door.request("GET", "/search", TOKEN, TEAM_A)
    assert app.offered == [None]


@pytest.mark.parametrize("path", ["/search", "/public", "/link", "/known", "/nowhere", "/gatewayinvoke"])
async def test_nothing_but_the_gateway_is_asked(path: str) -> None:
    async def ask(calls: SelfCalls) -> None:
        with pytest.raises(RequestError):
            await calls.ask(SelfCall(path, {}, skips_guardrails=True), seconds=5)

    door, app = entrance(ask)
    await door.request("POST", INVOKE, TOKEN, TEAM_A)
    assert (door.status, len(app.scopes)) == (200, 1)


async def test_a_route_that_a_get_reaches_is_not_the_gateway_either() -> None:
    async def ask(calls: SelfCalls) -> None:
        with pytest.raises(ForbiddenError, match="AI gateway only"):
            await calls.ask(SelfCall("/link", {}), seconds=5)

    door, _ = entrance(ask)
    await door.request("POST", INVOKE, TOKEN, TEAM_A)
    assert [record["decision"] for record in door.audit.kept] == ["deny", "allow"]


@pytest.mark.parametrize(
    ("answer", "error"), [(NO, ForbiddenError), (UnavailableError("?"), UnavailableError)]
)
async def test_kubernetes_decides_on_it(
    answer: AccessAnswer | UnavailableError, error: type[RequestError]
) -> None:
    async def ask(calls: SelfCalls) -> None:
        door.reviews.may_answer = answer
        with pytest.raises(error):
            await calls.ask(SelfCall("/gateway/look", {}, skips_guardrails=True), seconds=5)

    door, app = entrance(ask)
    await door.request("POST", INVOKE, TOKEN, TEAM_A)
    assert (door.status, len(app.scopes)) == (200, 1)
    assert door.audit.kept[0]["status"] == error.status


async def test_without_workspaces_it_names_none() -> None:
    async def ask(calls: SelfCalls) -> None:
        await calls.ask(SelfCall(INVOKE, {}), seconds=5)

    door, app = entrance(ask, WorkspaceRule(single="team-a"))
    await door.request("POST", INVOKE, TOKEN)
    assert [name for name, _ in app.scopes[1]["headers"]] == [b"content-type", b"content-length"]


@pytest.mark.parametrize("skips", [True, False])
async def test_only_a_self_call_skips_guardrails(skips: bool) -> None:
    async def ask(calls: SelfCalls) -> None:
        await calls.ask(SelfCall(INVOKE, {}, {"X-MLflow-Guardrail-Bypass": "1"}, skips), seconds=5)

    door, app = entrance(ask)
    await door.request("POST", INVOKE, TOKEN, TEAM_A, (GUARDRAIL_BYPASS, b"1"))
    first, own = (
        [header for header in scope["headers"] if b"bypass" in header[0].lower()] for scope in app.scopes
    )
    assert first == []
    assert own == (BYPASSES if skips else [])


NAMES = st.sampled_from([b"x-mlflow-guardrail-bypass", b"accept", b"x-api-key"]).flatmap(
    lambda name: st.lists(st.sampled_from(b"-_"), min_size=3, max_size=3).map(
        lambda marks: bytes(marks.pop() if byte == ord("-") and marks else byte for byte in name)
    )
)


@given(st.lists(st.tuples(NAMES, st.binary(max_size=3))), st.booleans(), st.booleans())
def test_nothing_that_arrives_skips_guardrails(
    headers: list[tuple[bytes, bytes]], gateway: bool, keep_authorization: bool
) -> None:
    sanitizer = HeaderSanitizer("team-a", gateway=gateway, keeps_authorization=keep_authorization)
    kept = sanitizer.applied(headers)
    assert not [name for name, _ in kept if b"bypass" in name]


async def test_a_worker_thread_may_ask_too() -> None:
    answers = []

    async def ask(calls: SelfCalls) -> None:
        answers.append(await asyncio.to_thread(calls.ask_from_thread, SelfCall(INVOKE, {}), seconds=5))

    door, _ = entrance(ask)
    await door.request("POST", INVOKE, TOKEN, TEAM_A)
    assert answers[0].status == 200


@pytest.mark.parametrize("thread", [True, False])
async def test_it_ends_with_its_time(thread: bool) -> None:
    call = SelfCall(INVOKE, {})

    async def ask(calls: SelfCalls) -> None:
        asking = (
            asyncio.to_thread(calls.ask_from_thread, call, seconds=0.05)
            if thread
            else calls.ask(call, seconds=0.05)
        )
        with pytest.raises(TimeoutError):
            await asking

    door, app = entrance(ask)
    app.silent = True
    await door.request("POST", INVOKE, TOKEN, TEAM_A)
    assert door.status == 200
    assert app.stopped is (len(app.scopes) == 2)  # on a busy machine it may not have got that far


async def test_it_ends_with_the_call_that_is_being_served() -> None:
    async def ask(calls: SelfCalls) -> None:
        await calls.ask(SelfCall(INVOKE, {}), seconds=60)

    door, app = entrance(ask)
    app.silent = True
    serving = asyncio.create_task(door.request("POST", INVOKE, TOKEN, TEAM_A))
    await app.silence.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert app.stopped


def test_nothing_of_it_is_shown() -> None:
    call = SelfCall(INVOKE, {"messages": "a secret"}, {"a": "secret"})
    assert "secret" not in repr(call) + repr(SelfAnswer(200, "", b"secret"))
