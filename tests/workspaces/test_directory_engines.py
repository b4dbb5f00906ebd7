"""The directory and its label selectors on both engines of the dev plane."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.devplane.real import require_binaries
from tests.kubernetes.informer_server import until
from workspace_authz.aio.clock import SystemClock
from workspace_authz.devplane.api import Api, connect
from workspace_authz.devplane.embedded.engine import EmbeddedEngine
from workspace_authz.devplane.engine import Endpoint, Engine, EngineOptions
from workspace_authz.devplane.kubeapiserver import KubeApiserverEngine
from workspace_authz.devplane.kubeconfig import token_kubeconfig
from workspace_authz.kubernetes.configuration import load_configuration
from workspace_authz.kubernetes.connection import Connection, server_connection
from workspace_authz.workspaces.directory import PATH, Directory
from workspace_authz.workspaces.namespace import DESCRIPTION_ANNOTATION
from workspace_authz.workspaces.policy import NamespacePolicy
from workspace_authz.workspaces.selector import parse_selector

pytestmark = pytest.mark.asyncio(loop_scope="module")

MERGE = "application/merge-patch+json"
POLICY = NamespacePolicy(label_selector="mlflow in (yes,true)")
LABELS: Mapping[str, Mapping[str, str]] = {
    "s-none": {},
    "s-a": {"team": "a"},
    "s-b": {"team": "b", "tier": "1"},
    "s-empty": {"team": "", "tier": "x"},
    "s-ten": {"tier": "10", "example.com/zone": "eu"},
    "s-odd": {"tier": "1_0", "in": "notin", "notin": "in"},
}
SELECTORS = (
    *("", " ", "team", "!team", "! team", "team=a", "team==a", "team = a", "team!=a", "team=", "team!="),
    *(
        "team in (a)",
        "team in (a,b)",
        "team in (,a)",
        "team in ( a , )",
        "team notin (a,b)",
        "team notin (,)",
    ),
    *(
        "team,tier",
        "team,!tier",
        "team=a,team=b",
        "team=a, tier!=1",
        "example.com/zone=eu",
        "example.com/zone",
    ),
    *("in=notin", "in in (notin)", "notin notin (in)", "in", "!in", "team in (in,notin)", "team=in"),
)
STRICT_SELECTORS = (
    *(
        "tier>1",
        "tier>0",
        "tier<10",
        "tier < 11",
        "tier>1,tier<11",
        "tier>a",
        "tier>",
        "tier>-1",
        "team in ()",
    ),
    *(",", "team,", "=a", "team=a b", "team===a", "team in a", "team in (a", "team in (a b)", "team in(a)"),
    *(
        "team near (a)",
        "!team=a",
        "!",
        "-a",
        "a=-b",
        "/a",
        "A.b/c",
        "a.b/c",
        "a/b/c",
        "a=b_",
        "a=(b)",
        "team!a",
    ),
    *(
        "team in",
        f"{'a' * 63}",
        f"{'a' * 64}",
        f"a={'b' * 63}",
        f"a={'b' * 64}",
        f"{'a' * 253}/b",
        f"{'a' * 254}/b",
    ),
)
"""Integers, and what is no selector: the embedded engine is not held to these."""


@pytest.fixture(scope="module", params=[EmbeddedEngine, KubeApiserverEngine])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    if request.param is KubeApiserverEngine:
        require_binaries()
    engine: Engine = request.param(EngineOptions(state=tmp_path_factory.mktemp("directory")))
    return engine


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def endpoint(engine: Engine) -> AsyncIterator[Endpoint]:
    yield await engine.start()
    await engine.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def api(endpoint: Endpoint) -> AsyncIterator[Api]:
    async with connect(endpoint.url, ca_file=endpoint.ca_file, token=endpoint.admin_token) as api:
        yield api


@pytest_asyncio.fixture(loop_scope="module")
async def connection(
    endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Connection]:
    kubeconfig = tmp_path_factory.mktemp("kubeconfig") / "admin"
    await asyncio.to_thread(kubeconfig.write_text, token_kubeconfig(endpoint, endpoint.admin_token))
    connection = server_connection(await load_configuration(str(kubeconfig)))
    yield connection
    await connection.close()


@asynccontextmanager
async def following(connection: Connection) -> AsyncIterator[Directory]:
    directory = Directory(connection, POLICY, clock=SystemClock())
    task = asyncio.create_task(directory.run())
    try:
        await asyncio.wait_for(directory.wait_synced(), 10)
        yield directory
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def make(api: Api, name: str, labels: Mapping[str, str]) -> None:
    metadata = {"name": name, "labels": labels, "annotations": {DESCRIPTION_ANNOTATION: f"about {name}"}}
    answer = await api.post(PATH, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    assert answer.status == 201, answer.body


async def label(api: Api, name: str, value: str | None) -> None:
    patch = {"metadata": {"labels": {"mlflow": value}}}
    answer = await api.request("PATCH", f"{PATH}/{name}", body=patch, content_type=MERGE)
    assert answer.ok, answer.body


async def test_a_namespace_is_served_at_once(api: Api, connection: Connection) -> None:
    async with following(connection) as directory:
        for number in range(10):
            await make(api, f"fresh-{number}", {"mlflow": "yes"})
            found = await directory.lookup(f"fresh-{number}")
            assert found is not None
            assert found.description == f"about fresh-{number}"
            assert directory.get(f"fresh-{number}") == found
        await make(api, "late", {})
        assert await directory.lookup("late") is None
        await label(api, "late", "true")
        await until(lambda: directory.get("late"))


async def test_a_namespace_labelled_a_moment_ago_is_served_at_once(api: Api, connection: Connection) -> None:
    async with following(connection) as directory:
        await make(api, "relabelled", {"mlflow": "no"})
        await label(api, "relabelled", "yes")
        assert await directory.lookup("relabelled") is not None
        await label(api, "relabelled", None)
        await until(lambda: directory.get("relabelled") is None)
        assert await directory.lookup("relabelled") is None


async def test_a_deleted_namespace_is_served_no_more(api: Api, connection: Connection) -> None:
    await make(api, "doomed", {"mlflow": "yes"})
    async with following(connection) as directory:
        assert directory.get("doomed") is not None
        assert (await api.request("DELETE", f"{PATH}/doomed")).ok
        await until(lambda: directory.get("doomed") is None)
        # On the real engine it still exists then, and is terminating.
        assert await directory.lookup("doomed") is None
        assert "doomed" not in directory.names()


async def test_the_first_list_is_what_the_api_server_selects(api: Api, connection: Connection) -> None:
    async with following(connection) as directory:
        expected = {
            item["metadata"]["name"]
            for item in (await api.get(f"{PATH}?labelSelector=mlflow")).body["items"]
            if item["metadata"]["labels"]["mlflow"] in ("yes", "true") and item["status"]["phase"] == "Active"
        }
        assert set(directory.names()) == expected


async def test_selectors_match_as_the_api_server_matches(api: Api, engine: Engine) -> None:
    selectors = SELECTORS if engine.name == EmbeddedEngine.name else SELECTORS + STRICT_SELECTORS
    for name, labels in LABELS.items():
        await make(api, name, labels)
    disagreements = []
    for text in selectors:
        answer = await api.get(f"{PATH}?labelSelector={quote(text)}")
        try:
            selector = parse_selector(text)
            ours = {name for name, labels in LABELS.items() if selector.matches(labels)}
        except ValueError:
            ours = None
        theirs = None
        if answer.ok:
            theirs = {item["metadata"]["name"] for item in answer.body["items"]} & LABELS.keys()
        if ours != theirs:
            disagreements.append((text, ours, theirs or answer.body.get("message")))
    assert disagreements == []
