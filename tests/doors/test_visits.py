"""Routes of ours: whose page may change something, what a body may be, and how a refusal looks."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.doors.doors import TOKEN, beyond, call
from tests.harness.fakes import Records, ScriptedReviews
from tests.pipeline.routes import pipeline_over
from workspace_authz.doors import visits
from workspace_authz.doors.own_routes import OwnAnswer
from workspace_authz.doors.visits import MOST_BODY_BYTES, OwnRoute, OwnRoutesMiddleware, Visit, json_answer
from workspace_authz.runtime.runtime import Runtime

HOST = (b"host", b"mlflow.example:5000")


async def _answer(visit: Visit) -> OwnAnswer:
    caller = await visit.caller()
    return json_answer({"user": caller.user.username, "sent": dict(await visit.document())})


async def _never(visit: Visit) -> OwnAnswer:
    await asyncio.sleep(3600)
    return json_answer({})


ROUTES = (
    OwnRoute("POST", "/ours", _answer),
    OwnRoute("GET", "/ours", _answer),
    OwnRoute("POST", "/page", _answer, is_page=True),
    OwnRoute("GET", "/slow", _never),
)


@pytest.fixture
def app(reviews: ScriptedReviews) -> OwnRoutesMiddleware:
    runtime = Runtime(pipeline_over(reviews), Records(), body_bytes=1, directory=None)
    return OwnRoutesMiddleware(beyond, routes=ROUTES, static_prefix="/p", runtime=lambda: runtime)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((), 200),
        (((b"sec-fetch-site", b"same-origin"),), 200),
        (((b"sec-fetch-site", b"same-site"),), 403),
        (((b"sec-fetch-site", b"cross-site"),), 403),
        (((b"sec-fetch-site", b"none"),), 403),
        (((b"sec-fetch-site", b"same-origin"), (b"sec-fetch-site", b"same-origin")), 403),
        (((b"origin", b"http://mlflow.example:5000"),), 200),
        (((b"origin", b"http://mlflow.example"),), 403),
        (((b"origin", b"https://evil.example"),), 403),
        (((b"origin", b"null"),), 403),
        (((b"origin", b"http://mlflow.example:5000"), (b"origin", b"null")), 403),
        (((b"origin", b"http://mlflow.example:5000"), (b"sec-fetch-site", b"cross-site")), 403),
    ],
)
async def test_only_a_page_of_this_server_changes_something(
    app: OwnRoutesMiddleware, headers: tuple[tuple[bytes, bytes], ...], status: int
) -> None:
    answer = await call(app, "POST", "/p/ours", TOKEN, HOST, *headers, body=b'{"a": 1}')
    assert answer.status == status
    assert (await call(app, "GET", "/p/ours", TOKEN, HOST, *headers)).status == 200


@pytest.mark.parametrize("body", [b"[]", b"x", b"[" * 20_000, b" " * (MOST_BODY_BYTES + 1)])
async def test_what_is_no_small_json_object_is_refused(app: OwnRoutesMiddleware, body: bytes) -> None:
    answer = await call(app, "POST", "/p/ours", TOKEN, body=body)
    assert (answer.status, answer.document["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


async def test_a_refusal_of_a_page_is_a_page(app: OwnRoutesMiddleware) -> None:
    answer = await call(app, "POST", "/p/page", TOKEN, body=b"x")
    assert answer.status == 400
    assert b'<p class="error" role="alert">The body must be a JSON object.</p>' in answer.body
    assert b'href="/p/workspace-authz/keys"' in answer.body


async def test_nobody_gets_in_without_a_credential(app: OwnRoutesMiddleware) -> None:
    answer = await call(app, "POST", "/p/ours", body=b"{}")
    assert answer.status == 401
    assert json.loads(answer.body)["error_code"] == "UNAUTHENTICATED"


async def test_an_answer_has_a_deadline(app: OwnRoutesMiddleware, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visits, "DEADLINE_SECONDS", 0.01)
    assert (await call(app, "GET", "/p/slow", TOKEN)).status == 503


async def test_what_is_not_ours_goes_on(app: OwnRoutesMiddleware) -> None:
    for method, path in (("GET", "/ours"), ("PUT", "/p/ours"), ("GET", "/p/ours/")):
        assert (await call(app, method, path, TOKEN)).body == (await call(beyond, method, path)).body
