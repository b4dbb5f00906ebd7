"""Reviews against a real HTTP server that plays an API server, well-behaved and broken."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Protocol

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from workspace_authz.errors import (
    MisconfiguredError,
    ThrottledError,
    TransientError,
    UnauthenticatedError,
    UnavailableError,
    UnreachableError,
)
from workspace_authz.kubernetes.access_reviews import url
from workspace_authz.kubernetes.configuration import ApiConfiguration
from workspace_authz.kubernetes.connection import caller_connection
from workspace_authz.kubernetes.own_credential import FileCredential
from workspace_authz.kubernetes.reviews import AccessAnswer, ApiReviews
from workspace_authz.telemetry.metrics import Metrics, NoMetrics
from workspace_authz.types import Attributes, Resource, UserInfo, Verb

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ASKED = Attributes("team-a", Verb.CREATE, Resource.GATEWAY_ENDPOINTS, "use", "chat")
SECRET = "the-callers-token"


class CountedAnswers(NoMetrics):
    """Writes down what came of each try."""

    def __init__(self) -> None:
        self.results: list[str] = []

    def asked(self, kind: str, *, result: str, seconds: float) -> None:
        assert seconds >= 0
        self.results.append(f"{kind} {result}")


class ReviewsOf(Protocol):
    """Reviews over a real connection to a handler."""

    def __call__(
        self, handler: Handler, *, timeout: float = 60.0, metrics: Metrics | None = None
    ) -> AbstractAsyncContextManager[ApiReviews]: ...


@pytest.fixture
def reviews_of() -> ReviewsOf:
    """Over callers' connections."""
    return _reviews_of


@asynccontextmanager
async def _reviews_of(
    handler: Handler,
    *,
    timeout: float = 60.0,
    metrics: Metrics | None = None,
) -> AsyncIterator[ApiReviews]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(application) as server:
        # The server's own credential lies in the same configuration and must never be sent.
        configuration = ApiConfiguration(
            host=str(server.make_url("/")), credential=FileCredential("the-servers-own")
        )
        connection = caller_connection(configuration)
        try:
            yield ApiReviews(connection, timeout=timeout, metrics=metrics)
        finally:
            await connection.close()


def answering(status: int, document: Any, **headers: str) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        text = document if isinstance(document, str) else json.dumps(document)
        return web.Response(status=status, text=text, headers=headers)

    return handler


def review(kind: str, status: Any) -> dict[str, Any]:
    return {"kind": kind, "status": status}


async def test_a_question_is_asked_whole_and_with_the_callers_token_only(reviews_of: ReviewsOf) -> None:
    seen: list[tuple[str, list[str], Any]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.path, request.headers.getall("Authorization"), await request.json()))
        return web.json_response(review("SelfSubjectAccessReview", {"allowed": True}), status=201)

    async with reviews_of(handler) as reviews:
        assert await reviews.may(SECRET, ASKED) == AccessAnswer(allowed=True)

    ((path, authorization, body),) = seen
    assert path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert authorization == [f"Bearer {SECRET}"]
    assert body == {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {
            "resourceAttributes": {
                "group": "mlflow.kubeflow.org",
                "resource": "gatewayendpoints",
                "subresource": "use",
                "verb": "create",
                "namespace": "team-a",
                "name": "chat",
            }
        },
    }


async def test_a_url_is_asked_about_as_kubernetes_does(reviews_of: ReviewsOf) -> None:
    asked: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append((await request.json())["spec"])
        return web.json_response(review("SelfSubjectAccessReview", {"allowed": False}), status=201)

    async with reviews_of(handler) as reviews:
        assert await reviews.may_do(SECRET, url("/metrics")) == AccessAnswer(allowed=False)
    assert asked == [{"nonResourceAttributes": {"path": "/metrics", "verb": "get"}}]


async def test_a_user_is_read_whole(reviews_of: ReviewsOf) -> None:
    info = {"username": "alice", "uid": "u-1", "groups": ["a", "b"], "extra": {"z": ["1"], "y": ["2", "3"]}}
    async with reviews_of(answering(201, review("SelfSubjectReview", {"userInfo": info}))) as reviews:
        expected = UserInfo("alice", "u-1", ("a", "b"), (("y", ("2", "3")), ("z", ("1",))))
        assert await reviews.who(SECRET) == expected


async def test_rules_are_read_whole(reviews_of: ReviewsOf) -> None:
    rule = {"verbs": ["get"], "apiGroups": ["*"], "resources": ["experiments"], "resourceNames": ["fraud"]}
    status = {"resourceRules": [rule], "nonResourceRules": [], "incomplete": True}
    async with reviews_of(answering(201, review("SelfSubjectRulesReview", status))) as reviews:
        answer = await reviews.rules(SECRET, "team-a")
    assert answer.incomplete
    assert answer.rules[0].names == {"fraud"}


@pytest.mark.parametrize("status", [403, 404])
async def test_a_review_that_is_forbidden_or_missing_is_a_wrong_cluster(
    reviews_of: ReviewsOf, status: int
) -> None:
    async with reviews_of(answering(status, "")) as reviews:
        with pytest.raises(MisconfiguredError, match="workspace-authz check"):
            await reviews.may(SECRET, ASKED)


async def test_a_token_that_is_not_accepted_is_the_callers_matter(reviews_of: ReviewsOf) -> None:
    async with reviews_of(answering(401, "token is expired: do not leak this")) as reviews:
        with pytest.raises(UnauthenticatedError) as caught:
            await reviews.who(SECRET)
    assert "do not leak" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (429, "slow down"),
        (500, "internal secret"),
        (503, ""),
        (302, ""),
        (201, "<html>captive portal</html>"),
        (201, "[]"),
        (201, {"kind": "SelfSubjectAccessReview"}),
        (201, review("Status", {"allowed": True})),
        (201, review("SelfSubjectAccessReview", {"allowed": "true"})),
        (201, review("SelfSubjectAccessReview", {"allowed": True, "denied": True})),
        (201, review("SelfSubjectAccessReview", {})),
        (201, "[" * 100_000),
    ],
)
async def test_whatever_is_no_answer_is_no_decision(
    reviews_of: ReviewsOf, status: int, document: Any
) -> None:
    async with reviews_of(answering(status, document, Location="/elsewhere")) as reviews:
        with pytest.raises(UnavailableError) as caught:
            await reviews.may(SECRET, ASKED)
    assert not isinstance(caught.value, MisconfiguredError)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "headers", "error", "after"),
    [
        (429, {}, ThrottledError, None),
        (429, {"Retry-After": "2"}, ThrottledError, 2.0),
        (502, {}, UnreachableError, None),
        (503, {"Retry-After": "2"}, UnreachableError, 2.0),
        (504, {}, UnreachableError, None),
    ],
)
async def test_what_may_pass_says_so(
    reviews_of: ReviewsOf,
    status: int,
    headers: dict[str, str],
    error: type[TransientError],
    after: float | None,
) -> None:
    async with reviews_of(answering(status, "", **headers)) as reviews:
        with pytest.raises(TransientError) as caught:
            await reviews.may(SECRET, ASKED)
    assert type(caught.value) is error
    assert (caught.value.status_of_answer, caught.value.after) == (status, after)


async def test_a_connection_that_breaks_is_no_answer(reviews_of: ReviewsOf) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=201, headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"kind":')
        assert request.transport is not None
        request.transport.abort()
        return response

    async with reviews_of(handler) as reviews:
        with pytest.raises(UnreachableError):
            await reviews.may(SECRET, ASKED)


async def test_every_try_is_counted_by_its_result(reviews_of: ReviewsOf) -> None:
    counted = CountedAnswers()
    for status, document in [
        (201, review("SelfSubjectAccessReview", {"allowed": True})),
        (201, "x"),
        (429, ""),
    ]:
        async with reviews_of(answering(status, document), metrics=counted) as reviews:
            with suppress(UnavailableError):
                await reviews.may(SECRET, ASKED)
    connection = caller_connection(ApiConfiguration(host="http://127.0.0.1:9"))
    with pytest.raises(UnreachableError):
        await ApiReviews(connection, timeout=5, metrics=counted).who(SECRET)
    await connection.close()
    assert counted.results == [
        "SelfSubjectAccessReview ok",
        "SelfSubjectAccessReview 201",
        "SelfSubjectAccessReview 429",
        "SelfSubjectReview unreachable",
    ]


async def test_an_answer_without_end_is_cut_off(reviews_of: ReviewsOf) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=201)
        await response.prepare(request)
        for _ in range(64):
            await response.write(b"x" * 2**18)
        return response

    async with reviews_of(handler) as reviews:
        with pytest.raises(UnavailableError):
            await reviews.may(SECRET, ASKED)


async def test_a_server_that_hangs_is_given_up(reviews_of: ReviewsOf) -> None:
    async def handler(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async with reviews_of(handler, timeout=0.1) as reviews:
        with pytest.raises(UnavailableError):
            await reviews.may(SECRET, ASKED)


async def test_nothing_that_one_caller_got_is_sent_for_another(reviews_of: ReviewsOf) -> None:
    cookies: list[str | None] = []

    async def handler(request: web.Request) -> web.Response:
        cookies.append(request.headers.get("Cookie"))
        answer = web.json_response(review("SelfSubjectAccessReview", {"allowed": False}), status=201)
        answer.set_cookie("session", "alice")
        return answer

    async with reviews_of(handler) as reviews:
        await reviews.may("alice-token", ASKED)
        await reviews.may("bob-token", ASKED)
    assert cookies == [None, None]


async def test_a_callers_connection_sends_nothing_without_a_token(reviews_of: ReviewsOf) -> None:
    async with reviews_of(answering(201, review("SelfSubjectReview", {}))) as reviews:
        with pytest.raises(ValueError, match="needs the caller's token"):
            await reviews.who("")


async def test_no_token_reaches_a_log(reviews_of: ReviewsOf, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with reviews_of(answering(500, "")) as reviews:
        with pytest.raises(UnavailableError):
            await reviews.who(SECRET)
    assert SECRET not in caplog.text
