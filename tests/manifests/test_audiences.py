"""The component ``audiences`` and its example, on a real API server."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.manifests.kube import ROOT, Kubectl

SERVER = {"user": "system:serviceaccount:mlflow:mlflow", "groups": ["system:authenticated"]}
NEEDED = [("authentication.k8s.io", "tokenreviews"), ("authorization.k8s.io", "subjectaccessreviews")]


@pytest.fixture(scope="module")
def overlay(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The base with the component."""
    objects = kubectl.built(tmp_path_factory.mktemp("overlay"), "audiences")
    return {"apiVersion": "v1", "kind": "List", "items": objects}


def variables(kubectl: Kubectl) -> dict[str, str]:
    """What the Deployment takes from its ConfigMap."""
    (container,) = kubectl.json("get", "deployment", "mlflow", "-n", "mlflow")["spec"]["template"]["spec"][
        "containers"
    ]
    (source,) = container["envFrom"]
    found: dict[str, str] = kubectl.json("get", "configmap", source["configMapRef"]["name"], "-n", "mlflow")[
        "data"
    ]
    return found


def may_review(kubectl: Kubectl) -> list[bool]:
    asked = [{"group": group, "resource": resource, "verb": "create"} for group, resource in NEEDED]
    return [
        bool(kubectl.create("SubjectAccessReview", {**SERVER, "resourceAttributes": each})["allowed"])
        for each in asked
    ]


def test_only_the_component_lets_the_server_review_others(kubectl: Kubectl, overlay: dict[str, Any]) -> None:
    assert may_review(kubectl) == [False, False]
    kubectl.run("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=overlay)
    assert may_review(kubectl) == [True, True]
    assert variables(kubectl)["WORKSPACE_AUTHZ_AUDIENCES"] == "mlflow"
    kubectl.run("delete", "clusterrolebinding", "mlflow-server-reviews")


@pytest.mark.parametrize("example", ["pod-with-audience", "pod-with-client-plugin"])
def test_the_pod_of_the_example_holds_no_token_but_the_one_for_mlflow(kubectl: Kubectl, example: str) -> None:
    """Given the API server's own admission, which adds the usual token, then it adds none."""
    document = yaml.safe_load((ROOT / "manifests" / "examples" / f"{example}.yaml").read_text())
    pod = document | {"metadata": {"name": "training", "namespace": "mlflow"}}
    pod["spec"]["serviceAccountName"] = "mlflow"
    spec = kubectl.json("create", "--dry-run=server", "-f", "-", stdin=with_restrictions(pod))["spec"]
    tokens = [
        source["serviceAccountToken"]["audience"]
        for volume in spec["volumes"]
        for source in volume["projected"]["sources"]
        if "serviceAccountToken" in source
    ]
    assert tokens == ["mlflow"]


def with_restrictions(pod: dict[str, Any]) -> dict[str, Any]:
    """What the namespace mlflow demands of pods beside it."""
    spec = pod["spec"]
    spec["securityContext"] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    for container in spec["containers"]:
        container["securityContext"] = {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
    return pod
