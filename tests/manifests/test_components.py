"""All components of ours together, on a real API server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import pytest
import yaml

from tests.manifests.flat import Workload, of_kind, workloads
from tests.manifests.kube import ROOT, Kubectl
from tests.manifests.test_overlays import KINDS, define

EVERYTHING = "tests/manifests/everything"


@pytest.fixture(scope="module")
def everything(cluster: Kubectl) -> Iterator[Sequence[Workload]]:
    """The workloads of an overlay that has every component of ours, which is applied."""
    found = [*yaml.safe_load_all(cluster.run("kustomize", EVERYTHING))]
    define(cluster, found)
    cluster.run("apply", "--server-side", "--validate=strict", "-k", EVERYTHING)
    assert not of_kind(found, KINDS)
    yield workloads(found)
    cluster.run("delete", "--ignore-not-found", "-k", EVERYTHING)


def test_all_components_together_are_admitted(cluster: Kubectl, everything: Sequence[Workload]) -> None:
    assert {each.kind for each in everything} == {"Deployment", "Job", "CronJob"}
    for each in everything:
        metadata = {"name": "probe", "namespace": "mlflow"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": each.pod}
        cluster.run("create", "--dry-run=server", "-f", "-", stdin=pod)
    assert cluster.run("diff", "--server-side", "-k", EVERYTHING) == ""


def test_whoever_calls_the_server_calls_the_port_of_its_service(
    cluster: Kubectl, everything: Sequence[Workload]
) -> None:
    """MLflow refuses a Host header with a port that is not its Service's, and nothing listens there."""
    (port,) = cluster.json("get", "service", "mlflow", "-n", "mlflow")["spec"]["ports"]
    assert port["port"] == 80
    called = [
        entry["value"]
        for each in everything
        for container in each.containers
        for entry in container.get("env", ())
        if entry.get("value", "").startswith("http://")
    ]
    assert called
    assert {urlsplit(url).netloc for url in called} <= {"mlflow", "mlflow.mlflow.svc"}


def test_nothing_asks_for_a_newer_kustomize_than_people_have() -> None:
    """``kubectl`` 1.32 (kustomize 5.5) ends with an error at ``sourceValue``; ``source`` does the same."""
    files = [*(ROOT / "kustomize").rglob("kustomization.yaml"), *(ROOT / "docs").rglob("*.md")]
    assert len(files) > 30
    assert [str(file) for file in files if "sourceValue" in file.read_text()] == []
