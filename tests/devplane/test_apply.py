"""Reading manifests, and making the API hold them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.devplane.real import require_binaries
from workspace_authz.devplane.api import Api, connect
from workspace_authz.devplane.apply import apply, read_manifests
from workspace_authz.devplane.embedded import EmbeddedEngine
from workspace_authz.devplane.engine import EngineOptions
from workspace_authz.devplane.kubeapiserver import KubeApiserverEngine
from workspace_authz.errors import ConfigurationError

RBAC = "/apis/rbac.authorization.k8s.io/v1"
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: team-a}\n"
ROLE = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: team-a}
rules:
- {apiGroups: [mlflow.kubeflow.org], resources: [experiments], verbs: [get]}
"""
ACCOUNT = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: elsewhere}\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[EmbeddedEngine, KubeApiserverEngine])
async def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    if request.param is KubeApiserverEngine:
        require_binaries()
    engine = request.param(EngineOptions(state=tmp_path_factory.mktemp("apply")))
    endpoint = await engine.start()
    async with connect(endpoint.url, ca_file=endpoint.ca_file, token=endpoint.admin_token) as api:
        yield api
    await engine.stop()


def write(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def names(manifests: Any) -> list[str]:
    return [manifest["metadata"]["name"] for manifest in manifests]


@pytest.mark.asyncio(loop_scope="module")
async def test_objects_are_created_and_then_updated(api: Api, tmp_path: Path) -> None:
    file = write(tmp_path / "all.yaml", f"{NAMESPACE}---\n{ROLE}---\n{ACCOUNT}")
    await apply(api, read_manifests([file]))
    role = await api.get(f"{RBAC}/namespaces/team-a/roles/reader")
    assert role.body["rules"][0]["verbs"] == ["get"]
    assert (await api.get("/api/v1/namespaces/default/serviceaccounts/elsewhere")).ok

    write(
        file,
        NAMESPACE.replace("{name", "{labels: {a: b}, name") + "---\n" + ROLE.replace("[get]", "[get, list]"),
    )
    await apply(api, read_manifests([file]))
    role = await api.get(f"{RBAC}/namespaces/team-a/roles/reader")
    assert role.body["rules"][0]["verbs"] == ["get", "list"]
    assert (await api.get("/api/v1/namespaces/team-a")).body["metadata"]["labels"]["a"] == "b"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_kind_that_is_not_served_is_an_error(api: Api) -> None:
    for version, kind in (("v1", "Wonder"), ("wonders.test/v1", "Wonder")):
        with pytest.raises(ConfigurationError, match=f"^this API server has no Wonder in {version}$"):
            await apply(api, [{"apiVersion": version, "kind": kind, "metadata": {"name": "x"}}])


@pytest.mark.asyncio(loop_scope="module")
async def test_a_refusal_is_an_error_in_the_words_of_the_api(api: Api) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "bad"}}
    with pytest.raises(
        ConfigurationError, match=r"cannot apply ClusterRole bad: 422 .*verbs: Required value"
    ):
        await apply(api, [{**role, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": []}]}])


def test_files_come_in_the_order_given_and_a_directory_by_name(tmp_path: Path) -> None:
    directory = tmp_path / "rbac"
    directory.mkdir()
    for name in ("b.yaml", "a.yml", "c.json", "kustomization.yaml", "README.md"):
        write(directory / name, ACCOUNT.replace("elsewhere", f"from-{name.replace('.', '-')}"))
    first = write(tmp_path / "z.yaml", ACCOUNT.replace("elsewhere", "first"))
    assert names(read_manifests([first, directory])) == ["first", "from-a-yml", "from-b-yaml", "from-c-json"]


def test_lists_are_opened_and_empty_documents_skipped(tmp_path: Path) -> None:
    items = "apiVersion: v1\nkind: List\nitems:\n- " + ACCOUNT.replace("\n", "\n  ")
    file = write(tmp_path / "list.yaml", f"---\n---\n{items}\n---\n{NAMESPACE}---\n")
    assert names(read_manifests([file])) == ["elsewhere", "team-a"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("a: [", "is not YAML"),
        ("just text", "no Kubernetes object"),
        ("kind: List\nitems: [3]", "no Kubernetes object"),
        ("kind: Role\nmetadata: {name: x}", "without apiVersion, kind or metadata.name"),
        ("apiVersion: v1\nkind: Secret\nmetadata: {}", "without apiVersion, kind or metadata.name"),
        ("apiVersion: v1\nkind: Secret\nmetadata: [x]", "without apiVersion, kind or metadata.name"),
    ],
)
def test_what_is_no_manifest_is_an_error_that_names_the_file(
    tmp_path: Path, content: str, complaint: str
) -> None:
    file = write(tmp_path / "bad.yaml", content)
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        read_manifests([file])
    assert str(file) in str(caught.value)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot read the manifest .*missing\.yaml"):
        read_manifests([tmp_path / "missing.yaml"])
