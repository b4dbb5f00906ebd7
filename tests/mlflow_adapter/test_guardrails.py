"""The places of MLflow that call the server itself, and what they make of each answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from fastapi import HTTPException
from mlflow.exceptions import MlflowException
from mlflow.gateway import guardrail_utils, guardrails
from mlflow.genai.judges import structured_judge
from mlflow.genai.judges.adapters import utils as judges
from mlflow.genai.judges.adapters.utils import ChatCompletionError

from tests.isolation.listener import listening
from workspace_authz.aio.asgi import Receive, Scope, Send
from workspace_authz.doors.asgi.self_calls import GuardedSelfCalls
from workspace_authz.errors import ForbiddenError, UnauthenticatedError
from workspace_authz.kubernetes.credentials import BearerToken
from workspace_authz.mlflow_adapter.patches import judge_cache
from workspace_authz.mlflow_adapter.patches.guardrails import SELF_URL, JudgeRequests, apply
from workspace_authz.mlflow_adapter.reading.request import SelfRequest
from workspace_authz.mlflow_adapter.serving import self_calls
from workspace_authz.types import Caller, UserInfo

BYPASS = {"X-MLflow-Guardrail-Bypass": "1"}
HOOKED = (
    (guardrail_utils, "get_server_base_url"),
    (guardrails, "send_request"),
    (judges, "requests"),
    (structured_judge, "_resolve_gateway_uri"),
)


@pytest.fixture(autouse=True)
def hooks() -> Iterator[None]:
    """MLflow calls us, and is as it was afterwards."""
    before = [getattr(module, name) for module, name in HOOKED]
    apply(static_prefix="/mlflow")
    judge_cache.apply()
    yield
    for (module, name), original in zip(HOOKED, before, strict=True):
        setattr(module, name, original)


class Server:
    """Stands for the guard and the gateway behind it."""

    def __init__(self, status: int = 200, content: object = None) -> None:
        self.asked: list[SelfRequest | None] = []
        self.headers: list[dict[bytes, bytes]] = []
        self.paths: list[str] = []
        self.refusal: Exception | None = None
        self.status = status
        self.content = {"choices": []} if content is None else content

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, *, by_mlflow: SelfRequest | None
    ) -> None:
        self.asked.append(by_mlflow)
        self.headers.append(dict(scope["headers"]))
        self.paths.append(scope["path"])
        if self.refusal is not None:
            raise self.refusal
        headers = [(b"content-type", b"application/json; charset=utf-8")]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(self.content).encode()})

    @contextlib.contextmanager
    def serving(self, workspace: str = "team-a") -> Iterator[None]:
        """While a call of the gateway is being served."""
        caller = Caller(UserInfo("alice"), BearerToken("the-token"))
        token = self_calls.set(GuardedSelfCalls(self, {"type": "http"}, caller=caller, workspace=workspace))
        yield
        self_calls.reset(token)


async def rewrite(base_url: str = f"{SELF_URL}/mlflow") -> Any:
    return await guardrails.send_request(
        headers=BYPASS, base_url=base_url, path="gateway/writer/mlflow/invocations", payload={"messages": []}
    )


def judge(url: str = f"{SELF_URL}/mlflow/gateway/mlflow/v1/chat/completions") -> Any:
    headers = {"X-MLflow-Gateway-Caller": "judge", "X-MLFLOW-WORKSPACE": "team-b", "Authorization": "none"}
    return judges.send_chat_request(url, headers, {"model": "judge"}, 0)


async def test_mlflow_reaches_itself_at_an_address_that_nothing_resolves() -> None:
    with Server().serving():
        assert guardrail_utils.get_server_base_url(object()) == "http://workspace-authz.invalid/mlflow"


async def test_guardrails_are_not_run_for_a_guardrail() -> None:
    with pytest.raises(HTTPException) as refused:
        guardrail_utils.get_server_base_url(object())
    assert refused.value.status_code == 400
    assert "no guardrails of their own" in refused.value.detail


async def test_rewriting_stays_in_the_process_and_skips_guardrails() -> None:
    server = Server()
    with server.serving():
        assert await rewrite() == {"choices": []}
    assert server.paths == ["/mlflow/gateway/writer/mlflow/invocations"]
    assert server.asked[0] is not None
    assert server.asked[0].skips_guardrails
    assert b"x-mlflow-gateway-caller" not in server.headers[0]


async def test_a_judge_stays_in_the_process_and_skips_nothing() -> None:
    server = Server()
    with server.serving():
        assert await asyncio.to_thread(judge) == {"choices": []}
    assert server.paths == ["/mlflow/gateway/mlflow/v1/chat/completions"]
    assert server.asked[0] is not None
    assert not server.asked[0].skips_guardrails
    assert server.headers[0][b"x-mlflow-gateway-caller"] == b"judge"
    assert b"authorization" not in server.headers[0]


@pytest.mark.parametrize(
    ("refusal", "status", "told"),
    [
        (ForbiddenError('alice cannot use "writer"'), 403, "gateway endpoint that you may not use"),
        (UnauthenticatedError("Your token is not valid."), 401, "Your token is not valid."),
    ],
)
async def test_a_refusal_is_told_without_the_names_of_others(
    refusal: Exception, status: int, told: str
) -> None:
    server = Server()
    server.refusal = refusal
    with server.serving():
        with pytest.raises(HTTPException) as rewriting:
            await rewrite()
        with pytest.raises(ChatCompletionError) as judging:
            await asyncio.to_thread(judge)
    assert (rewriting.value.status_code, judging.value.status_code) == (status, status)
    for text in (rewriting.value.detail, judging.value.message):
        assert told in text
        assert "writer" not in text


async def test_what_the_provider_answers_is_told() -> None:
    with Server(422, {"error": {"message": "no such model"}}).serving():
        with pytest.raises(HTTPException, match="no such model"):
            await rewrite()
        with pytest.raises(ChatCompletionError, match="no such model"):
            await asyncio.to_thread(judge)


async def test_who_does_not_answer_in_time_is_given_up() -> None:
    server = Server()
    server.refusal = TimeoutError()
    with server.serving():
        with pytest.raises(HTTPException) as late:
            await rewrite()
        assert late.value.status_code == 504
        with pytest.raises(MlflowException, match="timed out"):
            await asyncio.to_thread(judge)


@pytest.mark.parametrize("elsewhere", ["http://workspace-authz.invalid.example", "http://127.0.0.1:1"])
async def test_a_judge_asks_others_over_the_network(elsewhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "post", lambda url, **_: url)
    with Server().serving():
        assert JudgeRequests().post(elsewhere, headers={}, json={}, timeout=1) == elsewhere


async def test_what_a_judge_sends_to_others_arrives_as_it_is() -> None:
    with listening(lambda _: {"said": "yes"}) as provider, Server().serving():
        answer = await asyncio.to_thread(judge, provider.url)
    assert answer == {"said": "yes"}
    assert provider.take()[0].headers["authorization"] == "none"


async def test_outside_of_a_gateway_call_nothing_is_asked() -> None:
    with pytest.raises(RuntimeError, match="outside of a gateway call"):
        await rewrite()
    with pytest.raises(RuntimeError, match="outside of a gateway call"):
        await asyncio.to_thread(judge)


def test_judges_elsewhere_find_the_gateway_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_GATEWAY_URI", "http://gateway.example")
    assert structured_judge._gateway_system_one_cache_key("m") == ("http://gateway.example", "m")


async def test_what_a_judge_remembers_of_an_endpoint_is_the_workspaces_own() -> None:
    keys = set()
    for workspace in ("team-a", "team-b"):
        with Server().serving(workspace):
            keys.add(structured_judge._gateway_system_one_cache_key("gateway:/judge"))
    assert len(keys) == 2
