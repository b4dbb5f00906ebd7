"""The engine as a server: starting, stopping, watching, paging, and what it keeps to itself."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.devplane.embedded.conftest import Running
from tests.harness.processes import free_port
from workspace_authz.devplane.api import connect, until
from workspace_authz.devplane.embedded import EmbeddedEngine
from workspace_authz.devplane.engine import EngineOptions
from workspace_authz.errors import ConfigurationError

NAMESPACES = "/api/v1/namespaces"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


@asynccontextmanager
async def watching(running: Running, query: str) -> AsyncIterator[Any]:
    """An iterator over the events of a watch of namespaces."""
    url = f"{running.endpoint.url}{NAMESPACES}?watch=true&{query}"
    headers = {"Authorization": f"Bearer {running.endpoint.admin_token}", "Accept": "application/json"}
    timeout = aiohttp.ClientTimeout(total=120)
    async with running.api.session.get(url, headers=headers, timeout=timeout) as response:
        assert response.status == 200
        yield (json.loads(line) async for line in response.content)


async def create_namespace(running: Running, name: str) -> int:
    answer = await running.api.post(NAMESPACES, {"metadata": {"name": name}})
    assert answer.status == 201
    return int(answer.body["metadata"]["resourceVersion"])


async def test_it_says_what_it_is_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine = EmbeddedEngine(EngineOptions(state=tmp_path))
    await engine.start()
    await engine.stop()
    assert "for laptops and tests only" in caplog.text


async def test_a_watch_tells_of_changes(running: Running) -> None:
    version = await create_namespace(running, "first")
    async with watching(running, f"resourceVersion={version}") as events:
        await create_namespace(running, "second")
        event = await anext(events)
        assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "second")
        assert (await running.api.request("DELETE", f"{NAMESPACES}/second")).ok
        types = [(await anext(events))["type"] for _ in range(3)]
        assert types == ["MODIFIED", "MODIFIED", "DELETED"]


async def test_a_watch_sends_bookmarks(running: Running) -> None:
    async with watching(running, "allowWatchBookmarks=true&resourceVersion=0") as events:
        async for event in events:
            if event["type"] == "BOOKMARK":
                break
    assert event["object"]["kind"] == "Namespace"


async def test_a_watch_from_a_forgotten_version_is_gone(running: Running) -> None:
    version = await create_namespace(running, "first")
    for number in range(21):
        await create_namespace(running, f"more-{number}")
    async with watching(running, f"resourceVersion={version}") as events:
        event = await anext(events)
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


@pytest.mark.parametrize("query", ["resourceVersion=abc", "timeoutSeconds=-1", "labelSelector=a+b"])
async def test_a_watch_that_cannot_begin(running: Running, query: str) -> None:
    assert (await running.api.get(f"{NAMESPACES}?watch=true&{query}")).status == 400


async def test_a_list_comes_in_one_page(running: Running) -> None:
    page = (await running.api.get(f"{NAMESPACES}?limit=1")).body
    assert len(page["items"]) == 4
    assert page["metadata"].keys() == {"resourceVersion"}


@pytest.mark.parametrize(
    ("method", "query", "body"),
    [
        ("GET", "?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", None),
        ("GET", "?continue=token", None),
        ("GET", "?resourceVersionMatch=Exact&resourceVersion=1", None),
    ],
)
async def test_what_this_engine_cannot_do_is_refused(
    running: Running, method: str, query: str, body: Any
) -> None:
    answer = await running.api.request(method, f"{NAMESPACES}{query}", body=body)
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert "the embedded engine does not support" in answer.body["message"]


async def test_what_is_not_served_is_not_found(running: Running) -> None:
    for path in (
        "/api/v1/pods",
        "/apis/apps/v1/deployments",
        f"{RBAC}2/roles",
        "/nowhere",
        f"{RBAC}/roles/a/b",
    ):
        answer = await running.api.get(path)
        assert (answer.status, answer.reason) == (404, "NotFound"), path


async def test_a_body_that_is_too_large(running: Running) -> None:
    headers = {"Authorization": f"Bearer {running.endpoint.admin_token}"}
    url, body = f"{running.endpoint.url}{NAMESPACES}", io.BytesIO(b" " * (4 << 20))
    async with running.api.session.post(url, data=body, headers=headers) as response:
        assert (response.status, (await response.json())["reason"]) == (413, "RequestEntityTooLarge")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [("application/vnd.kubernetes.protobuf", 400), ("application/json", 400), ("application/yaml", 415)],
)
async def test_a_body_that_cannot_be_read(running: Running, content_type: str, status: int) -> None:
    answer = await running.api.request("POST", NAMESPACES, body="{", content_type=content_type)
    assert answer.status == status


@pytest.mark.parametrize(
    "header", ["Impersonate-User", "impersonate-group", "Impersonate-Uid", "Impersonate-Extra-Scopes"]
)
async def test_impersonation_is_refused(running: Running, header: str) -> None:
    headers = {"Authorization": f"Bearer {running.endpoint.admin_token}", header: "alice"}
    async with running.api.session.get(f"{running.endpoint.url}{NAMESPACES}", headers=headers) as response:
        body = await response.json()
    assert (response.status, body["reason"]) == (422, "Invalid")
    assert "does not support impersonation" in body["message"]


async def test_a_deleted_namespace_goes_by_itself(running: Running) -> None:
    await create_namespace(running, "short")
    assert (await running.api.request("DELETE", f"{NAMESPACES}/short")).ok

    async def gone() -> bool:
        return (await running.api.get(f"{NAMESPACES}/short")).status == 404

    async with asyncio.timeout(60):
        await until(gone)


async def test_the_system_roles_can_be_taken_away(running: Running) -> None:
    review = {"spec": {"resourceAttributes": {"verb": "get", "resource": "secrets"}}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    alice = running.api.with_token("alice-token")
    assert (await alice.post(path, review)).status == 201
    assert (await running.api.request("DELETE", f"{RBAC}/clusterrolebindings/system:basic-user")).ok
    assert (await alice.post(path, review)).status == 403


async def test_stopping_ends_watches_and_waiting(tmp_path: Path) -> None:
    engine = EmbeddedEngine(EngineOptions(state=tmp_path))
    endpoint = await engine.start()
    waiting = asyncio.create_task(engine.wait())
    async with connect(endpoint.url, ca_file=endpoint.ca_file, token=endpoint.admin_token) as api:
        watch = asyncio.create_task(api.get(f"{NAMESPACES}?watch=true"))
        await api.get(NAMESPACES)
        async with asyncio.timeout(60):
            await engine.stop()
            await waiting
            await asyncio.wait([watch])
        watch.exception()  # a cut connection, or the decoded first event: either way it ended
    await engine.stop()


async def test_stopping_before_the_start(tmp_path: Path) -> None:
    engine = EmbeddedEngine(EngineOptions(state=tmp_path))
    await engine.stop()
    await engine.wait()


async def test_starting_again_keeps_keys_and_token_and_raises_versions(tmp_path: Path) -> None:
    async def run() -> tuple[str, bytes, int]:
        engine = EmbeddedEngine(EngineOptions(state=tmp_path))
        endpoint = await engine.start()
        async with connect(endpoint.url, ca_file=endpoint.ca_file, token=endpoint.admin_token) as api:
            version = (await api.get(NAMESPACES)).body["metadata"]["resourceVersion"]
        await engine.stop()
        return endpoint.admin_token, endpoint.ca_file.read_bytes(), int(version)

    first = await run()
    await asyncio.sleep(1)  # versions begin with the second in which an engine starts
    second = await run()
    assert first[:2] == second[:2]
    assert first[2] < second[2]


async def test_a_chosen_port_and_a_taken_one(tmp_path: Path) -> None:
    port = free_port()
    engine = EmbeddedEngine(EngineOptions(state=tmp_path / "one", port=port))
    assert (await engine.start()).url == f"https://127.0.0.1:{port}"
    with pytest.raises(ConfigurationError, match=f"Cannot listen on port {port}"):
        await EmbeddedEngine(EngineOptions(state=tmp_path / "two", port=port)).start()
    await engine.stop()


async def test_a_state_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="state directory"):
        await EmbeddedEngine(EngineOptions(state=tmp_path / "file")).start()


async def test_tokens_stay_out_of_the_log(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await running.api.with_token("alice-token").get(f"{NAMESPACES}?token=alice-token")
    await running.api.with_token("unknown-token").get(NAMESPACES)
    accounts = f"{NAMESPACES}/default/serviceaccounts/default/token"
    issued = (await running.api.post(accounts, {})).body["status"]["token"]
    await running.api.with_token(issued).get(NAMESPACES)
    review = {"spec": {"token": issued}}
    await running.api.post("/apis/authentication.k8s.io/v1/tokenreviews", review)
    assert "GET /api/v1/namespaces 403" in caplog.text
    for token in ("alice-token", "unknown-token", issued, running.endpoint.admin_token):
        assert token not in caplog.text
