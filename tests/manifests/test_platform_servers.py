"""``mlflow server`` as the overlays for platforms start it, as a process, on a real API server."""

from __future__ import annotations

import http.client
import json
import shutil
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.harness.database import empty_database
from tests.harness.http import bearer
from tests.harness.server import MlflowServer, ServerOptions, mlflow_server, starting
from tests.manifests.kube import Kubectl
from tests.manifests.platforms import applied, kubeflow_role
from tests.manifests.test_references import container, variables
from workspace_authz.devplane.pki import Pki, create_pki

SIDECAR = "127.0.0.6"
"""What a pod with Istio's sidecar sees as the sender of everything that the sidecar has let in."""
ELSEWHERE = "127.0.0.7"
LIST = "/mlflow/api/3.0/mlflow/workspaces"
_OF_STORAGE = {"MLFLOW_BACKEND_STORE_URI", "MLFLOW_ARTIFACTS_DESTINATION"}
_SECONDS = 120
_START_SECONDS = 240


def kubeconfig(kubectl: Kubectl, token: str, *, file: Path) -> Path:
    """As the administrator's, with a token of somebody else."""
    config = yaml.safe_load(kubectl.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    file.write_text(yaml.safe_dump(config))
    file.chmod(0o600)
    return file


@dataclass(frozen=True, slots=True)
class Kubeflow:
    """A server as the overlay starts it, in a cluster with one profile and one other namespace."""

    server: MlflowServer
    notebook: str
    """The token of the profile's account."""
    bound: str
    """The same account's for MLflow only, as the PodDefault mounts it."""

    def ask(self, sender: str, headers: Mapping[str, str]) -> tuple[int, Any]:
        """The status and the content of the list of workspaces, for a request from an address."""
        port = urlsplit(self.server.url).port
        with closing(http.client.HTTPConnection("127.0.0.1", port, source_address=(sender, 0))) as connection:
            connection.request("GET", LIST, headers=dict(headers))
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables, empty."""
    return empty_database(tmp_path_factory.mktemp("database"))


@pytest.fixture(scope="module")
def kubeflow(
    cluster: Kubectl, database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kubeflow]:
    """With what Kubeflow makes for a profile: a namespace, and bindings of owner and ``default-editor``."""
    state = tmp_path_factory.mktemp("kubeflow")
    roles = [kubeflow_role("view", taken_in_by="edit"), kubeflow_role("edit")]
    items = [*profile("dana"), *profile("elsewhere", part_of="something-else"), *roles]
    made = {"apiVersion": "v1", "kind": "List", "items": items}
    cluster.run("apply", "--server-side", "-f", "-", stdin=made)
    with applied(cluster, "kubeflow"):
        own = cluster.run("create", "token", "mlflow", "-n", "mlflow")
        options = ServerOptions(
            kubeconfig=kubeconfig(cluster, own, file=state / "server.kubeconfig"),
            database=database,
            arguments=[
                each for each in container("kubeflow")["args"] if each.startswith(("--static", "--uv"))
            ],
            environment={
                key: value for key, value in variables("kubeflow").items() if key not in _OF_STORAGE
            },
        )
        with mlflow_server(state / "server", options) as server:
            account = ("create", "token", "default-editor", "-n", "dana")
            yield Kubeflow(server, cluster.run(*account), cluster.run(*account, "--audience=mlflow"))
    cluster.run("delete", "--wait=false", "-f", "-", stdin=made)


def profile(name: str, *, part_of: str = "kubeflow-profile") -> Iterator[dict[str, Any]]:
    """What Kubeflow's profile controller makes."""
    labels = {"app.kubernetes.io/part-of": part_of}
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    metadata = {"name": "default-editor", "namespace": name}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    subjects = (
        {"kind": "User", "name": "dana@example.com", "apiGroup": "rbac.authorization.k8s.io"},
        {"kind": "ServiceAccount", "name": "default-editor", "namespace": name},
    )
    for binding, subject in zip(("owner", "default-editor"), subjects, strict=True):
        yield {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": binding, "namespace": name},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "kubeflow-edit",
            },
            "subjects": [subject],
        }


DANA = {"kubeflow-userid": "dana@example.com"}


def test_a_user_of_kubeflows_gateway_sees_her_profile(kubeflow: Kubeflow) -> None:
    deadline = time.monotonic() + _SECONDS
    while True:  # the roles are aggregated, and the server hears of it, moments after the apply
        status, content = kubeflow.ask(SIDECAR, DANA)
        if content.get("workspaces") or time.monotonic() > deadline:
            break
    assert (status, [each["name"] for each in content["workspaces"]]) == (200, ["dana"])


def test_the_gateways_header_from_elsewhere_is_refused(kubeflow: Kubeflow) -> None:
    assert kubeflow.ask(ELSEWHERE, DANA)[0] == 401
    assert kubeflow.ask(ELSEWHERE, {**DANA, "X-Forwarded-For": SIDECAR})[0] == 401


@pytest.mark.parametrize("kind", ["notebook", "bound"])
def test_a_notebook_of_the_profile_comes_with_its_token(kubeflow: Kubeflow, kind: str) -> None:
    deadline = time.monotonic() + _SECONDS
    while True:
        status, content = kubeflow.ask(ELSEWHERE, bearer(getattr(kubeflow, kind)))
        if content.get("workspaces") or time.monotonic() > deadline:
            break
    assert (status, [each["name"] for each in content["workspaces"]]) == (200, ["dana"])


def test_the_component_tls_starts_tls_and_follows_the_files(
    cluster: Kubectl, database: Path, tmp_path: Path
) -> None:
    """Given the variables of the overlay openshift, when the files change, then new connections see it."""
    given = {each["name"]: each.get("value") for each in container("openshift")["env"]}
    files = {name: tmp_path / Path(given[name]).name for name in given if name.startswith("UVICORN_SSL_")}
    old, new = (create_pki(tmp_path / name) for name in ("old", "new"))
    put(old, files)
    own = cluster.run("create", "token", "default", "-n", "default")
    options = ServerOptions(
        kubeconfig=kubeconfig(cluster, own, file=tmp_path / "server.kubeconfig"),
        database=database,
        environment={name: str(file) for name, file in files.items()},
    )
    with starting(tmp_path / "server", options) as server:
        wait_until_shown(server, old)
        put(new, files)
        wait_until_shown(server, new)


def put(pki: Pki, files: Mapping[str, Path]) -> None:
    """As the kubelet does when the Secret changes."""
    shutil.copyfile(pki.serving_key, files["UVICORN_SSL_KEYFILE"])
    shutil.copyfile(pki.serving_cert, files["UVICORN_SSL_CERTFILE"])


def wait_until_shown(server: MlflowServer, pki: Pki) -> None:
    """Return once the server shows this certificate."""
    address = ("127.0.0.1", int(urlsplit(server.url).port or 0))

    def shown() -> bool:
        with suppress(OSError):
            return ssl.get_server_certificate(address).strip() == pki.serving_cert.read_text().strip()
        return False

    server.process.wait_until(shown, seconds=_START_SECONDS)
