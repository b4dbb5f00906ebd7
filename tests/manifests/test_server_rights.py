"""The server's account: every right that it is given is needed, and together they suffice.

The classes of the server are what asks, with the token that the Deployment mounts, on a real API server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.harness.farewells import farewells
from tests.kubernetes.informer_server import until
from tests.manifests.flat import mounted, objects, of_kind, workloads
from tests.manifests.kube import Kubectl
from workspace_authz.aio.clock import SystemClock
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.authorizer.rbac.watcher import RbacWatcher
from workspace_authz.cli.checks.cluster_roles import installed
from workspace_authz.cli.checks.finding import Level
from workspace_authz.errors import MisconfiguredError
from workspace_authz.kubernetes.configuration import load_configuration
from workspace_authz.kubernetes.connection import Connection, server_connection
from workspace_authz.kubernetes.informer_state import InformerState, Timing
from workspace_authz.kubernetes.own_rights import OwnRights
from workspace_authz.workspaces.directory import Directory
from workspace_authz.workspaces.policy import NamespacePolicy

ACCOUNT = "system:serviceaccount:mlflow:mlflow"
IMPATIENT = Timing(first_delay=0.05, longest_delay=0.2)
FOLLOWED = ("namespaces", "roles", "rolebindings", "clusterroles", "clusterrolebindings")
VERBS = ("list", "watch")
REVIEWED = ("tokenreviews", "subjectaccessreviews")


def rules(role: str) -> Sequence[Mapping[str, Any]]:
    (found,) = [
        each for each in objects("production") if each["metadata"]["name"] == role and "rules" in each
    ]
    given: Sequence[Mapping[str, Any]] = found["rules"]
    return given


@pytest.fixture(scope="module")
def production(cluster: Kubectl) -> Iterator[Kubectl]:
    cluster.apply("production")
    yield cluster
    cluster.delete("production")


@dataclass(frozen=True, slots=True)
class Server:
    """What of the server asks the API server with its own account."""

    directory: Directory
    watcher: RbacWatcher
    rights: OwnRights

    def state(self, resource: str) -> InformerState:
        """How well it follows a resource."""
        return self.directory.state if resource == "namespaces" else self.watcher.states[resource]


@asynccontextmanager
async def connected(files: Path, url: str) -> AsyncIterator[Connection]:
    """As what runs in a pod whose mounted files are these."""
    address = urlsplit(url)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("KUBECONFIG", raising=False)
        patch.setenv("KUBERNETES_SERVICE_HOST", address.hostname or "")
        patch.setenv("KUBERNETES_SERVICE_PORT", str(address.port))
        configuration = await load_configuration(pod_files=files)
    connection = server_connection(configuration)
    try:
        yield connection
    finally:
        await connection.close()
        await farewells()


@asynccontextmanager
async def running(files: Path, url: str) -> AsyncIterator[Server]:
    """For as long as the block lasts, in such a pod."""
    clock = SystemClock()
    async with connected(files, url) as connection:
        directory = Directory(connection, NamespacePolicy(), clock=clock, timing=IMPATIENT)
        watcher = RbacWatcher(
            connection,
            generations=Generations(clock.monotonic),
            index=RbacIndex(),
            clock=clock,
            timing=IMPATIENT,
        )
        tasks = [asyncio.create_task(each.run()) for each in (directory, watcher)]
        try:
            yield Server(directory, watcher, OwnRights(connection))
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


def follows(server: Server, resource: str) -> bool:
    return server.state(resource).followed_since is not None


@pytest.fixture(scope="module")
def pod_files(production: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the Deployment's projected volume holds, at the paths that it names."""
    (server,) = [each for each in workloads(objects("production")) if each.kind == "Deployment"]
    folder = tmp_path_factory.mktemp("serviceaccount")
    (token,) = mounted(server.pod, source="serviceAccountToken")
    account = ("create", "token", "mlflow", "-n", "mlflow", f"--duration={token['expirationSeconds']}s")
    (folder / token["path"]).write_text(production.run(*account).strip())
    (authority,) = mounted(server.pod, source="configMap")
    data = production.json("get", "configmap", authority["name"], "-n", "mlflow")["data"]
    for item in authority["items"]:
        (folder / item["path"]).write_text(data[item["key"]])
    (names,) = mounted(server.pod, source="downwardAPI")
    for item in names["items"]:
        assert item["fieldRef"]["fieldPath"] == "metadata.namespace"
        (folder / item["path"]).write_text("mlflow")
    return folder


@pytest.fixture(scope="module")
def url(production: Kubectl) -> str:
    return str(yaml.safe_load(production.kubeconfig.read_text())["clusters"][0]["cluster"]["server"])


@pytest.fixture
def without(production: Kubectl) -> Iterator[Callable[[str, str, str], None]]:
    """Takes a verb on a resource out of a ClusterRole, until the end of the test."""
    changed: list[str] = []

    def change(role: str, given: Sequence[Mapping[str, Any]]) -> None:
        manifest = next(
            each for each in objects("production") if each["metadata"]["name"] == role and "rules" in each
        )
        production.run("replace", "-f", "-", stdin={**manifest, "rules": given})

    def take(role: str, verb: str, resource: str) -> None:
        changed.append(role)
        change(role, [left for rule in rules(role) for left in lessened(rule, verb, resource)])
        settle(production, verb, resource, allowed=False)

    yield take
    for role in changed:
        change(role, rules(role))


def lessened(rule: Mapping[str, Any], verb: str, resource: str) -> Iterator[Mapping[str, Any]]:
    """The same rule by resource, without the verb on this one."""
    for each in rule["resources"]:
        verbs = [kept for kept in rule["verbs"] if (each, kept) != (resource, verb)]
        if verbs:
            yield {**rule, "resources": [each], "verbs": verbs}


def settle(kubectl: Kubectl, verb: str, resource: str, *, allowed: bool) -> None:
    """Wait until the API server's authorizer has heard of the change."""
    group = {"tokenreviews": "authentication.k8s.io", "subjectaccessreviews": "authorization.k8s.io"}
    asked = {
        "group": group.get(resource, "" if resource == "namespaces" else "rbac.authorization.k8s.io"),
        "resource": resource,
        "verb": verb,
    }
    spec = {"user": ACCOUNT, "groups": ["system:authenticated"], "resourceAttributes": asked}
    for _ in range(100):
        if bool(kubectl.create("SubjectAccessReview", spec)["allowed"]) is allowed:
            return
    raise AssertionError(f"{verb} {resource} never became {allowed}")


async def test_its_rights_suffice(pod_files: Path, url: str, production: Kubectl) -> None:
    for resource in FOLLOWED:
        settle(production, "watch", resource, allowed=True)
    async with running(pod_files, url) as server:
        for resource in FOLLOWED:
            await until(partial(follows, server, resource))
        assert "mlflow" in server.directory.names()
        assert await server.directory.uid("mlflow")
        assert await server.rights.missing() == []


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("resource", FOLLOWED)
async def test_without_the_right_to_follow_them_their_changes_are_not_heard_of(
    resource: str, verb: str, pod_files: Path, url: str, without: Callable[[str, str, str], None]
) -> None:
    without("mlflow-server", verb, resource)
    async with running(pod_files, url) as server:
        await until(lambda: server.state(resource).missing_right)
        assert server.state(resource).followed_since is None
        assert server.state("namespaces" if resource != "namespaces" else "roles").missing_right is False


async def test_without_the_right_to_get_them_no_namespace_can_be_told_from_its_successor(
    pod_files: Path, url: str, without: Callable[[str, str, str], None]
) -> None:
    without("mlflow-server", "get", "namespaces")
    async with running(pod_files, url) as server:
        with pytest.raises(MisconfiguredError):
            await server.directory.uid("mlflow")


async def test_without_the_right_to_get_cluster_roles_a_check_cannot_compare_them(
    pod_files: Path, url: str, without: Callable[[str, str, str], None]
) -> None:
    async with connected(pod_files, url) as connection:
        assert (await installed(connection)).level is Level.OK
    without("mlflow-server", "get", "clusterroles")
    async with connected(pod_files, url) as connection:
        assert (await installed(connection)).level is Level.UNKNOWN


@pytest.mark.parametrize("resource", REVIEWED)
async def test_without_the_right_to_review_others_the_server_says_which_one_it_lacks(
    resource: str, pod_files: Path, url: str, without: Callable[[str, str, str], None]
) -> None:
    without("mlflow-server-reviews", "create", resource)
    async with running(pod_files, url) as server:
        assert await server.rights.missing() == [f"create {resource}"]


def test_these_are_all_rules_of_the_server(production: Kubectl) -> None:
    """Whatever else it is bound to needs a test above."""
    bound = {
        binding["roleRef"]["name"]
        for binding in of_kind(objects("production"), "ClusterRoleBinding", "RoleBinding")
        for subject in binding["subjects"]
        if subject["name"] == "mlflow"
    }
    assert bound == {"mlflow-server", "mlflow-server-reviews"}
    rights = {
        (verb, resource)
        for role in bound
        for rule in rules(role)
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    followed = {(verb, resource) for verb in VERBS for resource in FOLLOWED}
    got = {("get", "namespaces"), ("get", "clusterroles")}
    assert rights == followed | got | {("create", resource) for resource in REVIEWED}
