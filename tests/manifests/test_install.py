"""docs/install.md: its commands for production and day two, in order, and the patches that it shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.markdown import ROOT, RUN_BY, blocks
from tests.manifests.flat import OVERLAYS
from tests.manifests.kube import Kubectl

DOCUMENT = "docs/install.md"
TEXT = (ROOT / DOCUMENT).read_text()
BLOCKS = blocks(TEXT, file=DOCUMENT)
COMMANDS = [each.code for each in BLOCKS if each.comment == f"{RUN_BY}tests/manifests/test_install.py"]
SECRETS, INSTALL, UPGRADE, REMOVE, SQLITE = COMMANDS
SHOWN = [each for each in BLOCKS if each.language == "yaml"]


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody with a clone, and the rights of an administrator."""

    clone: Path
    kubectl: Kubectl

    def does(self, code: str) -> None:
        """Run the commands of a block, as they stand there."""
        environment = {
            "PATH": f"{self.kubectl.program.parent}:{os.environ['PATH']}",
            "HOME": str(self.clone),
            "KUBECONFIG": str(self.kubectl.kubeconfig),
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", code],
            cwd=self.clone,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def pod(self, workload: str) -> dict[str, Any]:
        """The template's spec of a Deployment or Job, as ``deployment/mlflow``."""
        found = self.kubectl.json("get", workload, "-n", "mlflow")
        spec: dict[str, Any] = found["spec"]["template"]["spec"]
        return spec


@pytest.fixture
def reader(cluster: Kubectl, tmp_path: Path) -> Iterator[Reader]:
    """On a cluster without an overlay, before and after the test."""
    for part in ("manifests", "kustomize", "rbac"):
        shutil.copytree(ROOT / part, tmp_path / part)
    yield Reader(tmp_path, cluster)
    cluster.delete("production")
    names = cluster.run("get", "secrets", "-n", "mlflow", "-o", "name").split()
    for name in names:
        cluster.run("delete", "-n", "mlflow", name)


def variables(reader: Reader, pod: dict[str, Any]) -> dict[str, str]:
    """What a pod takes from the ConfigMap."""
    (name,) = [
        each["configMapRef"]["name"] for each in pod["containers"][0]["envFrom"] if "configMapRef" in each
    ]
    data: dict[str, str] = reader.kubectl.json("get", "configmap", name, "-n", "mlflow")["data"]
    return data


def test_production_is_installed_upgraded_and_removed_as_it_says(reader: Reader) -> None:
    reader.does(SECRETS)
    reader.does(INSTALL)

    for workload in ("deployment/mlflow", "job/mlflow-migration"):
        pod = reader.pod(workload)
        containers = [*pod.get("initContainers", ()), *pod["containers"]]
        assert {each["image"] for each in containers} == {"images.example.com/ml/workspace-authz:0.1.0"}
        found = variables(reader, pod)
        assert found["MLFLOW_ARTIFACTS_DESTINATION"] == "s3://bucket/mlflow"
        assert found["WORKSPACE_AUTHZ_AUDIENCES_ONLY"] == "true"  # what the overlay below says is kept

    overlay = reader.clone / "mlflow" / "kustomization.yaml"
    overlay.write_text(overlay.read_text().replace("newTag: 0.1.0", "newTag: 0.2.0"))
    reader.does(UPGRADE)
    assert reader.pod("job/mlflow-migration")["containers"][0]["image"].endswith(":0.2.0")

    reader.does(REMOVE)
    left = reader.kubectl.run("get", "deployments,jobs,services", "-n", "mlflow", "-o", "name")
    assert left == ""
    secrets = reader.kubectl.run("get", "secrets", "-n", "mlflow", "-o", "name").split()
    assert {"secret/mlflow-crypto", "secret/mlflow-database", "secret/mlflow-s3"} <= {*secrets}


def test_sqlite_is_upgraded_while_the_server_is_away(reader: Reader) -> None:
    reader.kubectl.apply("quickstart")

    reader.does(SQLITE)

    assert reader.kubectl.json("get", "deployment", "mlflow", "-n", "mlflow")["spec"]["replicas"] == 0
    (job,) = reader.pod("job/mlflow-migration")["containers"]
    (server,) = reader.pod("deployment/mlflow")["containers"]
    assert job["image"] == server["image"]
    assert job["env"][0]["value"] == variables(reader, {"containers": [server]})["MLFLOW_BACKEND_STORE_URI"]
    reader.kubectl.run("delete", "job", "mlflow-migration", "-n", "mlflow")
    reader.kubectl.run("apply", "--server-side", "--force-conflicts", "-f", "manifests/quickstart.yaml")
    assert reader.kubectl.json("get", "deployment", "mlflow", "-n", "mlflow")["spec"]["replicas"] == 1


def built(reader: Reader, shown: str) -> list[dict[str, Any]]:
    """The reader's overlay with what a block shows."""
    reader.does(INSTALL.partition("kubectl apply")[0])
    overlay = reader.clone / "mlflow" / "kustomization.yaml"
    overlay.write_text(overlay.read_text() + shown)
    return [*yaml.safe_load_all(reader.kubectl.run("kustomize", str(overlay.parent)))]


def test_the_patch_of_the_network_policy_says_who_may_come_in(reader: Reader) -> None:
    (shown,) = [each.code for each in SHOWN if "kind: NetworkPolicy" in each.code]
    found = built(reader, shown)
    (policy,) = [
        each for each in found if each["kind"] == "NetworkPolicy" and each["metadata"]["name"] == "mlflow"
    ]
    assert reader.kubectl.json(
        "apply", "--server-side", "--validate=strict", "--dry-run=server", "-f", "-", stdin=policy
    )
    (rule,) = policy["spec"]["ingress"]
    assert {"namespaceSelector": {}} not in rule["from"]
    assert {"ipBlock": {"cidr": "10.0.0.0/24"}} in rule["from"]
    assert {"podSelector": {}} in rule["from"], "the collector asks the server, too"
    policies = [each["spec"] for each in found if each["kind"] == "NetworkPolicy"]
    opened = [{"ports": [{"protocol": "TCP", "port": 6432}]} in each["egress"] for each in policies]
    assert opened == [True, True, True]


def test_a_database_is_named_with_the_driver_that_mlflow_works_with() -> None:
    """SQLAlchemy takes psycopg 3 for ``postgresql://``, with which MLflow 3.17.2 fails (docs/storage.md)."""
    component = (ROOT / "kustomize" / "components" / "postgres" / "kustomization.yaml").read_text()
    for text in (TEXT, component):
        assert re.findall(r"uri=([^:]+)://", text) == ["postgresql+psycopg2"]


def test_every_alert_leads_to_the_readers_copy_of_the_runbook(reader: Reader) -> None:
    (shown,) = [each.code for each in SHOWN if "PrometheusRule" in each.code]
    found = {each["kind"]: each for each in built(reader, shown)}
    for kind in ("PrometheusRule", "ServiceMonitor"):
        assert found[kind]["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    rules = found["PrometheusRule"]
    urls = [
        rule["annotations"]["runbook_url"] for group in rules["spec"]["groups"] for rule in group["rules"]
    ]
    assert {url.partition("#")[0] for url in urls} == {"https://wiki.internal/mlflow/operations"}
    assert len({url.partition("#")[2] for url in urls}) == len(urls)


def test_every_overlay_and_component_is_described() -> None:
    components = {folder.name for folder in (ROOT / "kustomize" / "components").iterdir()}
    rows = [line.split("|")[1] for line in TEXT.splitlines() if line.startswith("| `")]
    described = {name for row in rows for name in re.findall(r"`([\w-]+)`", row)}
    assert {*OVERLAYS, *components} - described == set()
