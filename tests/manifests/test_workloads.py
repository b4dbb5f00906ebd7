"""The examples of notebooks, pipelines and model servers, on a real API server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import examples
from tests.harness.crds import defining
from tests.manifests.kube import Kubectl

FOREIGN = {
    ("argoproj.io", "Workflow"),
    ("kubeflow.org", "Notebook"),
    ("kubeflow.org", "PodDefault"),
    ("serving.kserve.io", "ClusterStorageContainer"),
    ("serving.kserve.io", "InferenceService"),
}
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
MODEL = "mlflow://models/fraud-detector@champion"
USUAL = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture(scope="module")
def team(cluster: Kubectl) -> Iterator[Kubectl]:
    """A cluster that knows the third parties' kinds, with the namespace team-a and its accounts."""
    cluster.define(defining(FOREIGN))
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a", "labels": labels}}
    cluster.run("apply", "--server-side", "-f", "-", stdin=namespace)
    for name in ("trainer", "default-editor", "fraud-detector"):
        metadata = {"name": name, "namespace": "team-a"}
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
        cluster.run("apply", "--server-side", "-f", "-", stdin=account)
    yield cluster
    cluster.run("delete", "namespace", "team-a", "--wait=false")


def admitted(kubectl: Kubectl, spec: dict[str, Any]) -> dict[str, Any]:
    """The spec of a pod as the API server completes it. Raises ``AssertionError`` where it refuses it."""
    metadata = {"name": "probe", "namespace": "team-a"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    found: dict[str, Any] = kubectl.json("create", "--dry-run=server", "-f", "-", stdin=pod)["spec"]
    return found


def audiences(spec: dict[str, Any]) -> list[str]:
    """For whom the pod's tokens are; empty for the Kubernetes API."""
    sources = [
        source
        for volume in spec.get("volumes", [])
        for source in volume.get("projected", {}).get("sources", [])
    ]
    return [
        each["serviceAccountToken"].get("audience", "") for each in sources if "serviceAccountToken" in each
    ]


@pytest.mark.parametrize("file", examples.files(), ids=lambda file: f"{file.parent.name}/{file.name}")
def test_an_example_is_accepted_as_it_is(team: Kubectl, file: Path) -> None:
    team.run("apply", "--server-side", "--validate=strict", "-f", str(file))
    assert team.run("diff", "--server-side", "-f", str(file)) == ""


def test_the_pod_of_the_job_holds_no_token_but_the_one_for_mlflow(team: Kubectl) -> None:
    spec = examples.of_kind("pipelines/job.yaml", "Job")["spec"]["template"]["spec"]
    assert audiences(admitted(team, spec)) == ["mlflow"]


def test_a_pod_default_adds_to_what_the_api_server_gave_a_notebook(team: Kubectl) -> None:
    """Given a pod that has the usual token already, as Kubeflow's webhook sees it, then nothing conflicts."""
    spec = examples.of_kind("notebooks/notebook.yaml", "Notebook")["spec"]["template"]["spec"]
    spec["containers"][0]["securityContext"] = RESTRICTED
    seen = admitted(team, spec)
    default = examples.of_kind("notebooks/poddefault.yaml", "PodDefault")["spec"]
    assert sorted(audiences(admitted(team, examples.with_default(seen, default)))) == ["", "mlflow"]


def test_kserves_initializer_gets_the_token_of_the_model_servers_account(team: Kubectl) -> None:
    """Given the container where KServe puts it, then it is admitted, and has what fetch needs, by default."""
    account = examples.of_kind("kserve/inferenceservice.yaml", "InferenceService")["spec"]["predictor"]
    server = {
        "serviceAccountName": account["serviceAccountName"],
        "containers": [{"name": "kserve-container", "image": "runtime:1", "securityContext": RESTRICTED}],
    }
    (initializer,) = admitted(team, examples.with_initializer(server, MODEL))["initContainers"]
    assert initializer["name"] == "storage-initializer"
    assert (*initializer["command"], *initializer["args"]) == (
        "workspace-authz",
        "fetch",
        MODEL,
        "/mnt/models",
    )
    assert USUAL in [each["mountPath"] for each in initializer["volumeMounts"]]


def test_every_name_in_the_service_is_the_same() -> None:
    """The role is for the model that is served, and the account that serves it is the one that is bound."""
    file = "kserve/inferenceservice.yaml"
    predictor = examples.of_kind(file, "InferenceService")["spec"]["predictor"]
    models, _ = examples.of_kind(file, "Role")["rules"]
    (subject,) = examples.of_kind(file, "RoleBinding")["subjects"]
    assert predictor["model"]["storageUri"] == MODEL
    assert models["resourceNames"] == ["fraud-detector"]
    assert predictor["serviceAccountName"] == subject["name"]
