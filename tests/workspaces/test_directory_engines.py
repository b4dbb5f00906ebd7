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
from workspace_authz.errors import ConfigurationError, MisconfiguredError
from workspace_authz.kubernetes.configuration import load_configuration
from workspace_authz.kubernetes.connection import Connection, server_connection
from workspace_authz.workspaces.directory import PATH, Directory
from workspace_authz.workspaces.namespace import DESCRIPTION_ANNOTATION
from workspace_authz.workspaces.policy import NamespacePolicy

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
async def following(connection: Connection, policy: NamespacePolicy = POLICY) -> AsyncIterator[Directory]:
    directory = Directory(connection, policy, clock=SystemClock())
    task = asyncio.create_task(directory.run())
    try:
        await asyncio.wait_for(directory.wait_synced(), 120)
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


async def test_every_selector_of_the_api_server_is_accepted_and_applied(
    api: Api, engine: Engine, connection: Connection
) -> None:
    """Given any selector, then the workspaces are what the API server selects, and none if it refuses it."""
    selectors = SELECTORS if engine.name == EmbeddedEngine.name else SELECTORS + STRICT_SELECTORS
    for name, labels in LABELS.items():
        await make(api, name, labels)
    disagreements = []
    for text in selectors:
        answer = await api.get(f"{PATH}?labelSelector={quote(text)}")
        theirs = None
        if answer.ok:
            theirs = {item["metadata"]["name"] for item in answer.body["items"]} & LABELS.keys()
        ours = await looked_up(connection, text)
        if ours != theirs:
            disagreements.append((text, ours, theirs or answer.body.get("message")))
    assert disagreements == []


async def looked_up(connection: Connection, selector: str) -> set[str] | None:
    """The namespaces of LABELS that are workspaces by this selector; None if it is refused."""
    try:
        directory = Directory(connection, NamespacePolicy(label_selector=selector), clock=SystemClock())
        found = await asyncio.gather(*map(directory.lookup, LABELS))
    except (ConfigurationError, MisconfiguredError):
        return None
    return {info.name for info in found if info is not None}


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ("team", {"s-a", "s-b", "s-empty"}),
        ("team in (a,b)", {"s-a", "s-b"}),
        ("team,tier!=x", {"s-a", "s-b"}),
        ("tier,!team", {"s-ten", "s-odd"}),
    ],
)
async def test_the_watch_follows_what_the_selector_selects(
    api: Api, connection: Connection, selector: str, selected: set[str]
) -> None:
    """Given namespaces that begin and cease to match, then the watch reports it; a look-up agrees."""
    fresh = f"w-{len(selected)}-{len(selector)}"
    async with following(connection, NamespacePolicy(label_selector=selector)) as directory:
        await make(api, fresh, {"team": "a"} if "!team" not in selector else {"tier": "7"})
        await until(lambda: directory.get(fresh))
        for name, labels in LABELS.items():
            await api.post(PATH, {"metadata": {"name": name, "labels": labels}, "kind": "Namespace"})
        await until(lambda: set(directory.names()) & LABELS.keys() == selected)
        patch = {"metadata": {"labels": {"team": None, "tier": None}}}
        await api.request("PATCH", f"{PATH}/{fresh}", body=patch, content_type=MERGE)
        await until(lambda: directory.get(fresh) is None)
        assert await directory.lookup(fresh) is None


async def test_a_selector_that_the_api_server_refuses_is_named(connection: Connection) -> None:
    """Given a selector that only the API server knows to be wrong, then readiness names it."""
    policy = NamespacePolicy(label_selector="tier>x")
    directory = Directory(connection, policy, clock=SystemClock())
    task = asyncio.create_task(directory.run())
    await until(lambda: directory.state.problem)
    assert directory.state.problem == (
        f"{PATH} cannot be followed: the API server does not accept the label selector 'tier>x'."
    )
    assert not directory.synced
    with pytest.raises(MisconfiguredError, match="does not accept the server's label selector"):
        await directory.lookup("team-a")
    assert await directory.uid("kube-system") is not None
    task.cancel()
