"""Objects asked as one caller: what each answer of the API server becomes, and what no answer becomes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from workspace_authz.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    MissingError,
    RequestError,
    ThrottledError,
    UnauthenticatedError,
    UnavailableError,
    UnreachableError,
)
from workspace_authz.kubernetes.callers_objects import CallersObjects
from workspace_authz.kubernetes.configuration import ApiConfiguration
from workspace_authz.kubernetes.connection import Connection, caller_connection
from workspace_authz.kubernetes.credentials import AssertedUser, AudienceToken, BearerToken, IssuerToken
from workspace_authz.kubernetes.http import MAX_ANSWER_BYTES
from workspace_authz.kubernetes.objects import ApiObjects
from workspace_authz.kubernetes.own_credential import FileCredential
from workspace_authz.types import Caller, Credential, UserInfo

PATH = "/apis/rbac.authorization.k8s.io/v1/namespaces/team-a/roles"
SEEN = {"metadata": {"uid": "u", "resourceVersion": "7", "name": "r"}}


@dataclass
class Api:
    """Answers with what a test put there, and notes what it was asked."""

    answers: list[web.StreamResponse | float] = field(default_factory=list)
    """A number is how many seconds it takes to answer nothing."""
    asked: list[tuple[str, str, str, Any]] = field(default_factory=list)
    """Method, path with query, authorization, body."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked.append(
            (
                request.method,
                request.path_qs,
                request.headers.get("Authorization", ""),
                json.loads(body) if body else None,
            )
        )
        answer = self.answers.pop(0)
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            return web.Response()
        return answer


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
async def connection(api: Api) -> AsyncIterator[Connection]:
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", api.handle)
    async with TestServer(app) as server:
        configuration = ApiConfiguration(
            host=str(server.make_url("")), credential=FileCredential("the-servers-own")
        )
        connection = caller_connection(configuration)
        yield connection
        await connection.close()


def objects_of(connection: Connection, *, timeout: float = 60.0) -> ApiObjects:
    return ApiObjects(connection, "alice-token", timeout)


def failure(status: int, message: object = "the API server's sentence") -> web.Response:
    return web.json_response({"kind": "Status", "message": message}, status=status)


async def test_each_verb_is_sent_as_the_caller(api: Api, connection: Connection) -> None:
    api.answers = [web.json_response({}) for _ in range(4)]
    objects = objects_of(connection)
    await objects.get(f"{PATH}/a%20b")
    await objects.create(PATH, {"kind": "Role"})
    await objects.replace(f"{PATH}/r", {"kind": "Role"})
    await objects.delete(f"{PATH}/r", seen=SEEN)
    conditions = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": "u", "resourceVersion": "7"},
    }
    token = "Bearer alice-token"
    assert api.asked == [
        ("GET", f"{PATH}/a%20b", token, None),
        ("POST", PATH, token, {"kind": "Role"}),
        ("PUT", f"{PATH}/r", token, {"kind": "Role"}),
        ("DELETE", f"{PATH}/r", token, conditions),
    ]


async def test_the_same_object_is_deleted_whatever_was_written_to_it(
    api: Api, connection: Connection
) -> None:
    api.answers = [web.json_response({})]
    await objects_of(connection).delete(f"{PATH}/r", seen={"metadata": {"uid": "u"}})
    assert api.asked[0][3]["preconditions"] == {"uid": "u"}


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"items": [1, 2, {"n": 1}], "metadata": {}}, ([{"n": 1}], False)),
        ({"items": [{"n": 1}, {"n": 2}], "metadata": {"continue": "x"}}, ([{"n": 1}, {"n": 2}], True)),
        ({"items": [{"n": 1}, {"n": 2}, {"n": 3}], "metadata": {}}, ([{"n": 1}, {"n": 2}], True)),
    ],
    ids=["all", "a page", "an API that does not page"],
)
async def test_the_first_of_a_collection(api: Api, connection: Connection, answer: Any, found: Any) -> None:
    api.answers = [web.json_response(answer)]
    assert await objects_of(connection).first(PATH, most=2, query={"labelSelector": "a=b"}) == found
    assert [path for _, path, *_ in api.asked] == [f"{PATH}?labelSelector=a%3Db&limit=2"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, BadRequestError),
        (403, ForbiddenError),
        (404, MissingError),
        (409, ConflictError),
        (422, BadRequestError),
    ],
)
async def test_a_refusal_is_told_in_the_words_of_the_api_server(
    api: Api, connection: Connection, status: int, error: type[RequestError]
) -> None:
    api.answers = [failure(status, "x\ny" * 5000), failure(status, 7), web.Response(status=status, text="<")]
    for expected in ("x yx y", "", ""):
        with pytest.raises(error) as told:
            await objects_of(connection).get(PATH)
        assert told.value.message.startswith(expected)
        assert 10 < len(told.value.message) <= 2000


async def test_a_rejected_token_is_told_without_the_answer(api: Api, connection: Connection) -> None:
    api.answers = [failure(401)]
    with pytest.raises(UnauthenticatedError) as told:
        await objects_of(connection).get(PATH)
    assert "does not accept this token" in told.value.message


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (failure(429), ThrottledError),
        (failure(500), UnavailableError),
        (failure(503), UnavailableError),
        (failure(302), UnavailableError),
        (web.Response(text="no JSON"), UnavailableError),
        (web.json_response([]), UnavailableError),
        (1.0, UnreachableError),
    ],
    ids=["429", "500", "503", "302", "no JSON", "no object", "too late"],
)
async def test_what_is_no_answer_is_no_decision(
    api: Api, connection: Connection, answer: Any, error: type[RequestError]
) -> None:
    api.answers = [answer]
    with pytest.raises(error) as told:
        await objects_of(connection, timeout=0.5 if answer == 1.0 else 60.0).create(PATH, {})
    assert "the API server's sentence" not in told.value.message


async def test_a_write_without_an_answer_may_be_done(api: Api, connection: Connection) -> None:
    api.answers = [1.0, 1.0]
    objects = objects_of(connection, timeout=0.2)
    with pytest.raises(UnreachableError, match="may be done or not"):
        await objects.create(PATH, {})
    with pytest.raises(UnreachableError) as told:
        await objects.get(PATH)
    assert "may be done" not in told.value.message


async def test_an_answer_that_is_too_large_is_none(api: Api, connection: Connection) -> None:
    api.answers = [web.Response(body=b'{"a":"%b"}' % (b" " * MAX_ANSWER_BYTES))]
    with pytest.raises(UnreachableError):
        await objects_of(connection).get(PATH)


async def test_a_list_is_read_page_by_page(api: Api, connection: Connection) -> None:
    api.answers = [
        web.json_response({"metadata": {"continue": "a b"}, "items": [{"n": 1}, "no object"]}),
        web.json_response({"metadata": {}, "items": [{"n": 2}]}),
    ]
    assert await objects_of(connection).list(PATH) == [{"n": 1}, {"n": 2}]
    assert [path for _, path, _, _ in api.asked] == [
        f"{PATH}?limit=500",
        f"{PATH}?limit=500&continue=a+b",
    ]


async def test_a_list_without_an_end_ends(api: Api, connection: Connection) -> None:
    api.answers = [web.json_response({"metadata": {"continue": "more"}, "items": []}) for _ in range(41)]
    with pytest.raises(BadRequestError, match="more than 20000 objects"):
        await objects_of(connection).list(PATH)
    assert len(api.asked) == 40


@pytest.mark.parametrize("page", [{}, {"items": {}, "metadata": {}}, {"items": []}])
async def test_a_list_that_is_none(api: Api, connection: Connection, page: Any) -> None:
    api.answers = [web.json_response(page)]
    with pytest.raises(UnavailableError):
        await objects_of(connection).list(PATH)


@pytest.mark.parametrize(
    ("credential", "known"),
    [
        (BearerToken("alice-token"), True),
        (AudienceToken("alice-token"), False),
        (IssuerToken("alice-token"), False),
        (AssertedUser(), False),
    ],
)
async def test_who_has_shown_a_token_for_the_api_is_known_there(
    connection: Connection, credential: Credential, known: bool
) -> None:
    objects = CallersObjects(connection, timeout=5.0).of(Caller(UserInfo("alice"), credential))
    assert (objects is not None) is known
    assert "alice-token" not in repr(objects)
