"""The follower on both engines of the dev plane: what each kind of change touches, and what nothing does."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.devplane.real import require_binaries
from tests.kubernetes.informer_server import until
from workspace_authz.aio.clock import SystemClock
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.authorizer.rbac.watcher import RbacWatcher
from workspace_authz.devplane.api import Api, connect
from workspace_authz.devplane.embedded.engine import EmbeddedEngine
from workspace_authz.devplane.engine import Endpoint, EngineOptions
from workspace_authz.devplane.kubeapiserver import KubeApiserverEngine
from workspace_authz.devplane.kubeconfig import token_kubeconfig
from workspace_authz.kubernetes.configuration import load_configuration
from workspace_authz.kubernetes.connection import Connection, server_connection
from workspace_authz.types import API_GROUP, UserInfo

pytestmark = pytest.mark.asyncio(loop_scope="module")

GROUP = "rbac.authorization.k8s.io"
RBAC = f"/apis/{GROUP}/v1"
MERGE = "application/merge-patch+json"
ALICE = UserInfo("alice", groups=("devs",))


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[EmbeddedEngine, KubeApiserverEngine])
async def endpoint(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Endpoint]:
    if request.param is KubeApiserverEngine:
        require_binaries()
    engine = request.param(EngineOptions(state=tmp_path_factory.mktemp("rbac")))
    yield await engine.start()
    await engine.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(endpoint: Endpoint) -> AsyncIterator[Api]:
    async with connect(endpoint.url, ca_file=endpoint.ca_file, token=endpoint.admin_token) as api:
        for name in ("team-a", "team-b", "team-c"):
            answer = await api.post("/api/v1/namespaces", {"metadata": {"name": name}})
            assert answer.ok, answer.body
        for kind in ("Role", "ClusterRole"):
            waiting = binding(f"sentinel-{kind.lower()}", kind, "sentinel", "sentinel")
            assert (await api.post(f"{RBAC}/namespaces/team-c/rolebindings", waiting)).ok
        yield api


@asynccontextmanager
async def connected(endpoint: Endpoint, token: str, file: Any) -> AsyncIterator[Connection]:
    await asyncio.to_thread(file.write_text, token_kubeconfig(endpoint, token))
    connection = server_connection(await load_configuration(str(file)))
    yield connection
    await connection.close()


class Recording(Generations):
    """Writes down what is touched."""

    def __init__(self) -> None:
        super().__init__(time.monotonic)
        self.touched: list[str] = []

    def touch(self, namespaces: Collection[str]) -> None:
        self.touched += sorted(namespaces)
        super().touch(namespaces)

    def touch_everywhere(self) -> None:
        self.touched.append("everything")
        super().touch_everywhere()


@dataclass(slots=True)
class Following:
    """A follower, and what it has learnt."""

    follower: RbacWatcher
    generations: Recording
    index: RbacIndex
    api: Api

    def reach(self, user: UserInfo = ALICE) -> set[str]:
        """The namespaces in which the index knows a right; empty: in all."""
        return {namespace for namespace, _ in self.index.granted_to(user)}

    async def write(self, method: str, path: str, body: Any = None) -> None:
        kind = MERGE if method == "PATCH" else "application/json"
        answer = await self.api.request(method, f"{RBAC}/{path}", body=body, content_type=kind)
        assert answer.ok, answer.body

    async def touches(self, method: str, path: str, body: Any = None) -> list[str]:
        """What a change touches. Another one of the same kind, made after it, tells that it has arrived."""
        del self.generations.touched[:]
        await self.write(method, path, body)
        plural = next(part for part in reversed(path.split("/")) if part in SENTINELS)
        collection = plural if plural.startswith("cluster") else f"namespaces/team-c/{plural}"
        await self.write("POST", collection, SENTINELS[plural])
        await until(lambda: self.reach(SENTINEL))
        touched = list(self.generations.touched)
        await self.write("DELETE", f"{collection}/sentinel")
        await until(lambda: not self.reach(SENTINEL))
        own = "everything" if plural.startswith("cluster") else "team-c"
        assert touched.pop() == own
        return touched


def rules(*verbs: str, group: str = API_GROUP) -> Sequence[dict[str, Any]]:
    return [{"apiGroups": [group], "resources": ["experiments"], "verbs": [*verbs]}]


def role(name: str, *verbs: str, group: str = API_GROUP, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}, "rules": rules(*verbs, group=group)}


def binding(name: str, kind: str, role: str, user: str = "alice") -> dict[str, Any]:
    subject = {"apiGroup": GROUP, "kind": "User", "name": user}
    reference = {"apiGroup": GROUP, "kind": kind, "name": role}
    return {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}


SENTINEL = UserInfo("sentinel")
SENTINELS = {
    "roles": role("sentinel", "get"),
    "clusterroles": role("sentinel", "get"),
    "rolebindings": binding("sentinel", "ClusterRole", "cluster-admin", "sentinel"),
    "clusterrolebindings": binding("sentinel", "ClusterRole", "cluster-admin", "sentinel"),
}


@asynccontextmanager
async def follow(
    connection: Connection, api: Api, *, namespace: str | None = None
) -> AsyncIterator[Following]:
    generations, index = Recording(), RbacIndex()
    follower = RbacWatcher(
        connection, generations=generations, index=index, clock=SystemClock(), namespace=namespace
    )
    task = asyncio.create_task(follower.run())
    try:
        yield Following(follower, generations, index, api)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest_asyncio.fixture(loop_scope="module")
async def following(endpoint: Endpoint, api: Api, tmp_path_factory: Any) -> AsyncIterator[Following]:
    file = tmp_path_factory.mktemp("kubeconfig") / "admin"
    async with (
        connected(endpoint, endpoint.admin_token, file) as connection,
        follow(connection, api) as found,
    ):
        await until(lambda: found.generations.followed_since is not None)
        yield found


A = "namespaces/team-a"


async def test_every_kind_of_change(following: Following) -> None:
    touches = following.touches
    # A binding before its role grants nothing yet.
    assert await touches("POST", f"{A}/rolebindings", binding("b", "Role", "r")) == []
    assert following.reach() == set()
    assert await touches("POST", f"{A}/roles", role("r", "get")) == ["team-a"]
    assert following.reach() == {"team-a"}
    assert await touches("PATCH", f"{A}/roles/r", {"rules": rules("get", "list")}) == ["team-a"]
    assert await touches("PATCH", f"{A}/roles/r", {"rules": rules("get", "list", "watch")}) == []
    assert await touches("PATCH", f"{A}/roles/r", {"metadata": {"labels": {"x": "y"}}}) == []
    assert await touches("PATCH", f"{A}/rolebindings/b", {"subjects": []}) == ["team-a"]
    assert following.reach() == set()
    bob = [{"apiGroup": GROUP, "kind": "Group", "name": "devs"}]
    assert await touches("PATCH", f"{A}/rolebindings/b", {"subjects": bob}) == ["team-a"]
    assert following.reach() == {"team-a"}
    assert await touches("PATCH", f"{A}/roles/r", {"rules": rules("get", group="apps")}) == ["team-a"]
    assert following.reach() == set()
    assert await touches("DELETE", f"{A}/rolebindings/b") == []
    assert await touches("DELETE", f"{A}/roles/r") == []


async def test_cluster_wide_changes(following: Following) -> None:
    touches = following.touches
    assert await touches("POST", "clusterroles", role("pods", "get", group="apps")) == []
    assert await touches("POST", "clusterrolebindings", binding("p", "ClusterRole", "pods")) == []
    assert await touches("PATCH", "clusterroles/pods", {"rules": rules("get")}) == ["everything"]
    assert following.reach() == {""}
    assert await touches("DELETE", "clusterrolebindings/p") == ["everything"]
    assert await touches("POST", f"{A}/rolebindings", binding("c", "ClusterRole", "pods")) == ["team-a"]
    assert following.reach() == {"team-a"}
    assert await touches("DELETE", "clusterroles/pods") == ["everything"]
    assert following.reach() == set()
    await following.write("DELETE", f"{A}/rolebindings/c")


async def test_an_aggregated_cluster_role(following: Following) -> None:
    selector = {"clusterRoleSelectors": [{"matchLabels": {"team": "x"}}]}
    whole = {"metadata": {"name": "whole"}, "aggregationRule": selector}
    await following.write("POST", "clusterroles", whole)
    await following.write("POST", f"{A}/rolebindings", binding("w", "ClusterRole", "whole"))
    await following.write("POST", "clusterroles", role("part", "get", team="x"))
    await until(lambda: following.reach() == {"team-a"})
    await following.write("DELETE", "clusterroles/part")
    await until(lambda: following.reach() == set())
    await following.write("DELETE", "clusterroles/whole")
    await following.write("DELETE", f"{A}/rolebindings/w")


async def test_a_server_of_one_namespace_follows_that_one(
    endpoint: Endpoint, api: Api, tmp_path_factory: Any, following: Following
) -> None:
    file = tmp_path_factory.mktemp("kubeconfig") / "admin"
    for name in ("team-a", "team-b"):
        await following.write("POST", f"namespaces/{name}/rolebindings", binding("d", "ClusterRole", "edit"))
    async with (
        connected(endpoint, endpoint.admin_token, file) as connection,
        follow(connection, api, namespace="team-a") as one,
    ):
        await until(lambda: one.generations.followed_since is not None)
        assert one.reach() <= {"team-a"}
        assert following.reach() >= one.reach()
    for name in ("team-a", "team-b"):
        await following.write("DELETE", f"namespaces/{name}/rolebindings/d")


async def test_without_the_right_it_says_so_once_and_follows_nothing(
    endpoint: Endpoint, api: Api, tmp_path_factory: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await api.post("/api/v1/namespaces/team-a/serviceaccounts", {"metadata": {"name": "weak"}})
    path = "/api/v1/namespaces/team-a/serviceaccounts/weak/token"
    token = (await api.post(path, {"spec": {"expirationSeconds": 3600}})).body["status"]["token"]
    file = tmp_path_factory.mktemp("kubeconfig") / "weak"
    async with connected(endpoint, token, file) as connection, follow(connection, api) as found:
        await until(lambda: all(state.missing_right for state in found.follower.states.values()))
        assert found.generations.followed_since is None
        assert len(found.follower.problems) == 4
        assert "needs the rights list and watch" in found.follower.problems[0]
        await asyncio.sleep(0.7)  # two of its attempts
    assert len([line for line in caplog.messages if "/rolebindings cannot be followed" in line]) == 1


async def test_the_ends_and_the_beginnings_of_following_have_one_level(
    endpoint: Endpoint, api: Api, tmp_path_factory: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="workspace_authz.authorizer")
    file = tmp_path_factory.mktemp("kubeconfig") / "own"
    async with connected(endpoint, endpoint.admin_token, file) as connection:
        watcher = RbacWatcher(
            connection, generations=Generations(time.monotonic), index=RbacIndex(), clock=SystemClock()
        )
        for moment in (1.0, None, 2.0):
            for informer in watcher._informers:
                informer._become(followed_since=moment)
    said = [(line.levelname, "not followed" in line.getMessage()) for line in caplog.records]
    assert said == [("INFO", False), ("WARNING", True), ("WARNING", False)]
