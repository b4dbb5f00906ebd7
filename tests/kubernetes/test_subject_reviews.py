"""Reviews about a user, asked with the server's own account: on both engines, and from a broken server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.devplane.real import require_binaries
from workspace_authz.devplane.api import connect, until
from workspace_authz.devplane.embedded.engine import EmbeddedEngine
from workspace_authz.devplane.engine import Endpoint, EngineOptions
from workspace_authz.devplane.kubeapiserver import KubeApiserverEngine
from workspace_authz.devplane.kubeconfig import token_kubeconfig
from workspace_authz.errors import MisconfiguredError, RequestError, UnavailableError, UnreachableError
from workspace_authz.kubernetes.access_reviews import url
from workspace_authz.kubernetes.configuration import ApiConfiguration, load_configuration
from workspace_authz.kubernetes.connection import server_connection
from workspace_authz.kubernetes.own_credential import ClientAuth, CredentialError, FileCredential
from workspace_authz.kubernetes.reviews import AccessAnswer
from workspace_authz.kubernetes.subject_reviews import ApiSubjectReviews
from workspace_authz.types import API_GROUP, Attributes, Resource, UserInfo, Verb

RBAC = "/apis/rbac.authorization.k8s.io/v1"
YES, NO = AccessAnswer(allowed=True), AccessAnswer(allowed=False)
USE = Attributes("team-a", Verb.CREATE, Resource.GATEWAY_ENDPOINTS, "use", "chat")
USER = UserInfo("carol", "u-1", ("devs", "everyone"), (("scopes", ("a", "b")),))


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[EmbeddedEngine, KubeApiserverEngine])
async def endpoint(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Endpoint]:
    if request.param is KubeApiserverEngine:
        require_binaries()
    engine = request.param(EngineOptions(state=tmp_path_factory.mktemp("plane")))
    endpoint = await engine.start()
    await _populate(endpoint)
    yield endpoint
    await engine.stop()


async def _populate(endpoint: Endpoint) -> None:
    """``devs`` may use the endpoint "chat" of team-a and get /metrics."""
    async with connect(endpoint.url, ca_file=endpoint.ca_file, token=endpoint.admin_token) as api:
        rule = {"apiGroups": [API_GROUP], "resources": ["gatewayendpoints/use"], "resourceNames": ["chat"]}
        role = {
            "metadata": {"name": "users", "namespace": "team-a"},
            "rules": [{**rule, "verbs": ["create"]}],
        }
        metrics = [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]
        for path, body in [
            ("/api/v1/namespaces", {"metadata": {"name": "team-a"}}),
            (f"{RBAC}/namespaces/team-a/roles", role),
            (f"{RBAC}/namespaces/team-a/rolebindings", _binding("Role", "users", namespace="team-a")),
            (f"{RBAC}/clusterroles", {"metadata": {"name": "metrics"}, "rules": metrics}),
            (f"{RBAC}/clusterrolebindings", _binding("ClusterRole", "metrics")),
        ]:
            answer = await api.post(path, body)
            assert answer.ok, answer.body


def _binding(kind: str, role: str, **metadata: str) -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    return {
        "metadata": {"name": f"devs-{role}", **metadata},
        "roleRef": {"apiGroup": group, "kind": kind, "name": role},
        "subjects": [{"apiGroup": group, "kind": "Group", "name": "devs"}],
    }


@asynccontextmanager
async def subject_reviews(
    endpoint: Endpoint, directory: Any, *, token: str | None = None
) -> AsyncIterator[ApiSubjectReviews]:
    file = directory / "kubeconfig"
    file.write_text(token_kubeconfig(endpoint, token or endpoint.admin_token))
    connection = server_connection(await load_configuration(str(file)))
    try:
        yield ApiSubjectReviews(connection, timeout=60)
    finally:
        await connection.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_the_api_server_answers_about_a_user_by_groups(endpoint: Endpoint, tmp_path: Any) -> None:
    async with subject_reviews(endpoint, tmp_path) as reviews, asyncio.timeout(120):

        async def in_force() -> bool:
            """The API server's authorizer follows the objects."""
            return await reviews.may(USER, USE) == YES and await reviews.may_do(USER, url("/metrics")) == YES

        await until(in_force)
        without_groups = replace(USER, groups=())
        assert await reviews.may(without_groups, USE) == NO
        assert await reviews.may_do(without_groups, url("/metrics")) == NO
        assert await reviews.may(USER, replace(USE, name="other")) == NO
        assert await reviews.may(USER, replace(USE, namespace="team-b")) == NO


@pytest.mark.asyncio(loop_scope="module")
async def test_a_server_credential_that_is_not_accepted_is_not_the_callers_fault(
    endpoint: Endpoint, tmp_path: Any
) -> None:
    async with subject_reviews(endpoint, tmp_path, token="garbage") as reviews:
        with pytest.raises(UnavailableError):
            await reviews.may(USER, USE)


@asynccontextmanager
async def answering(status: int, document: Any) -> AsyncIterator[tuple[ApiSubjectReviews, list[Any]]]:
    asked: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append((request.path, request.headers["Authorization"], await request.json()))
        return web.Response(status=status, text=json.dumps(document))

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(application) as server:
        connection = server_connection(
            ApiConfiguration(host=str(server.make_url("/")), credential=FileCredential("own"))
        )
        try:
            yield ApiSubjectReviews(connection, timeout=60), asked
        finally:
            await connection.close()


async def test_the_user_is_sent_whole_with_the_servers_own_credential() -> None:
    document = {"kind": "SubjectAccessReview", "status": {"allowed": False, "denied": True}}
    async with answering(201, document) as (reviews, asked):
        assert await reviews.may(USER, USE) == AccessAnswer(allowed=False, denied=True)
    ((path, authorization, body),) = asked
    assert (path, authorization) == ("/apis/authorization.k8s.io/v1/subjectaccessreviews", "Bearer own")
    assert body["kind"] == "SubjectAccessReview"
    assert body["spec"] == {
        "user": "carol",
        "uid": "u-1",
        "groups": ["devs", "everyone"],
        "extra": {"scopes": ["a", "b"]},
        "resourceAttributes": {
            "group": API_GROUP,
            "resource": "gatewayendpoints",
            "subresource": "use",
            "verb": "create",
            "namespace": "team-a",
            "name": "chat",
        },
    }


async def test_a_server_credential_that_cannot_be_had_is_no_decision() -> None:
    class Broken:
        async def current(self) -> ClientAuth:
            raise CredentialError("The plugin failed: a detail of the server.")

        async def renewed(self, rejected: ClientAuth) -> ClientAuth:
            return await self.current()

    connection = server_connection(ApiConfiguration("https://127.0.0.1:9", credential=Broken()))
    with pytest.raises(UnavailableError) as caught:
        await ApiSubjectReviews(connection, timeout=60).may(USER, USE)
    await connection.close()
    assert "detail" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "document", "error", "said"),
    [
        (401, {}, UnavailableError, "no usable answer"),
        (403, {}, MisconfiguredError, "may not create subjectaccessreviews"),
        (404, {}, MisconfiguredError, "does not answer a SubjectAccessReview"),
        (503, {}, UnreachableError, "no usable answer"),
        (201, {"kind": "SelfSubjectAccessReview", "status": {"allowed": True}}, UnavailableError, "usable"),
        (201, {"kind": "SubjectAccessReview", "status": {"allowed": 1}}, UnavailableError, "usable"),
    ],
)
async def test_whatever_is_no_answer_is_no_decision(
    status: int, document: Any, error: type[RequestError], said: str
) -> None:
    async with answering(status, document) as (reviews, _):
        with pytest.raises(RequestError, match=said) as caught:
            await reviews.may(USER, USE)
    assert type(caught.value) is error
