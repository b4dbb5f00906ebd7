"""TokenReviews with audiences: on both engines, and from a broken server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.devplane.real import require_binaries
from tests.harness.fakes import ManualClock
from workspace_authz.devplane.api import connect
from workspace_authz.devplane.embedded.engine import EmbeddedEngine
from workspace_authz.devplane.engine import Endpoint, EngineOptions
from workspace_authz.devplane.kubeapiserver import KubeApiserverEngine
from workspace_authz.devplane.kubeconfig import token_kubeconfig
from workspace_authz.errors import (
    MisconfiguredError,
    RequestError,
    UnauthenticatedError,
    UnavailableError,
    UnreachableError,
)
from workspace_authz.kubernetes.configuration import ApiConfiguration, load_configuration
from workspace_authz.kubernetes.connection import Connection, server_connection
from workspace_authz.kubernetes.own_credential import FileCredential
from workspace_authz.kubernetes.own_rights import FORBIDDEN, OwnRights, OwnRightsProbe
from workspace_authz.kubernetes.token_reviews import ApiTokenReviews
from workspace_authz.types import UserInfo

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[EmbeddedEngine, KubeApiserverEngine])
async def endpoint(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Endpoint]:
    if request.param is KubeApiserverEngine:
        require_binaries()
    engine = request.param(EngineOptions(state=tmp_path_factory.mktemp("plane")))
    endpoint = await engine.start()
    yield endpoint
    await engine.stop()


@pytest.mark.asyncio(loop_scope="module")
async def test_a_token_counts_for_its_own_audiences_only(endpoint: Endpoint, tmp_path: Any) -> None:
    async with connect(endpoint.url, ca_file=endpoint.ca_file, token=endpoint.admin_token) as api:
        made = await api.post(ACCOUNTS, {"metadata": {"name": "trainer"}})
        assert made.ok, made.body

        async def token(*audiences: str) -> str:
            spec = {"spec": {"audiences": list(audiences), "expirationSeconds": 600}}
            answer = await api.post(f"{ACCOUNTS}/trainer/token", spec)
            assert answer.ok, answer.body
            return str(answer.body["status"]["token"])

        ours, foreign, both = await token("mlflow"), await token("vault"), await token("vault", "mlflow")
        usual = await token()
    file = tmp_path / "kubeconfig"
    file.write_text(token_kubeconfig(endpoint, endpoint.admin_token))
    connection = server_connection(await load_configuration(str(file)))
    reviews = ApiTokenReviews(connection, audiences=("mlflow", "mlflow-test"), timeout=60)
    try:
        for good in (ours, both):
            user = await reviews.who(good)
            assert (user.username, user.uid) == (
                "system:serviceaccount:default:trainer",
                made.body["metadata"]["uid"],
            )
            assert set(user.groups) == {
                "system:serviceaccounts",
                "system:serviceaccounts:default",
                "system:authenticated",
            }
        for bad in (foreign, usual, "garbage", endpoint.admin_token):
            with pytest.raises(UnauthenticatedError):
                await reviews.who(bad)
        assert await OwnRights(connection).missing() == []
    finally:
        await connection.close()


@asynccontextmanager
async def answering(status: int, document: Any) -> AsyncIterator[tuple[Connection, list[Any]]]:
    asked: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append((request.path, request.headers["Authorization"], await request.json()))
        return web.Response(status=status, text=json.dumps(document))

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(application) as server:
        configuration = ApiConfiguration(host=str(server.make_url("/")), credential=FileCredential("own"))
        connection = server_connection(configuration)
        try:
            yield connection, asked
        finally:
            await connection.close()


def review(**status: Any) -> dict[str, Any]:
    return {"kind": "TokenReview", "status": status}


async def test_the_token_is_sent_with_the_audiences_and_the_servers_own_credential() -> None:
    user = {"username": "carol", "uid": "u", "groups": ["devs"], "extra": {"scopes": ["a"]}}
    document = review(authenticated=True, user=user, audiences=["mlflow"])
    async with answering(201, document) as (connection, asked):
        found = await ApiTokenReviews(connection, audiences=("mlflow", "x"), timeout=60).who("callers")
    assert found == UserInfo("carol", "u", ("devs",), (("scopes", ("a",)),))
    ((path, authorization, body),) = asked
    assert (path, authorization) == ("/apis/authentication.k8s.io/v1/tokenreviews", "Bearer own")
    assert body["spec"] == {"token": "callers", "audiences": ["mlflow", "x"]}


CAROL = {"username": "carol"}


@pytest.mark.parametrize(
    ("status", "document", "error"),
    [
        (201, review(authenticated=False, error="invalid bearer token"), UnauthenticatedError),
        (201, review(), UnauthenticatedError),
        (201, review(authenticated=True, user=CAROL), MisconfiguredError),
        (201, review(authenticated=True, user=CAROL, audiences=["api"]), MisconfiguredError),
        (201, review(authenticated=True, user=CAROL, audiences=7), UnavailableError),
        (201, review(authenticated="yes", user=CAROL, audiences=["mlflow"]), UnavailableError),
        (201, review(authenticated=True, audiences=["mlflow"]), UnavailableError),
        (201, review(authenticated=True, user={"username": ""}, audiences=["mlflow"]), UnavailableError),
        (201, {"kind": "SelfSubjectReview", "status": {"authenticated": True}}, UnavailableError),
        (401, {}, UnavailableError),
        (403, {}, MisconfiguredError),
        (503, {}, UnreachableError),
    ],
)
async def test_whatever_is_no_yes_is_none(status: int, document: Any, error: type[RequestError]) -> None:
    async with answering(status, document) as (connection, _):
        with pytest.raises(RequestError) as caught:
            await ApiTokenReviews(connection, audiences=("mlflow",), timeout=60).who("callers")
    assert type(caught.value) is error
    assert "callers" not in caught.value.message


async def test_a_forbidden_review_says_which_role_is_missing() -> None:
    async with answering(403, {}) as (connection, _):
        with pytest.raises(MisconfiguredError, match=r"create tokenreviews.*mlflow-server-reviews"):
            await ApiTokenReviews(connection, audiences=("mlflow",), timeout=60).who("callers")


class Rights:
    """Rights that a test gives and takes."""

    def __init__(self) -> None:
        self.answer: Sequence[str] | UnavailableError = ()

    async def missing(self) -> Sequence[str]:
        await asyncio.sleep(0)
        if isinstance(self.answer, UnavailableError):
            raise self.answer
        return self.answer


async def test_the_probe_tells_of_a_right_that_is_taken_away_and_given_back(clock: ManualClock) -> None:
    rights = Rights()
    probe = OwnRightsProbe(rights, clock=clock)
    assert probe.problem is not None
    assert "not been checked" in probe.problem
    seen = []
    for answer in ((), UnavailableError("down"), ("create tokenreviews",), UnavailableError("down"), ()):
        rights.answer = answer
        await probe.beat()
        seen.append(probe.problem)
    assert seen == [None, None, FORBIDDEN, FORBIDDEN, None]
