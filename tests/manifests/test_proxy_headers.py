"""The component ``proxy-headers`` on a real API server, also beside ``audiences``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.manifests.kube import Kubectl

SERVER = {"user": "system:serviceaccount:mlflow:mlflow", "groups": ["system:authenticated"]}
REVIEWS = {"group": "authorization.k8s.io", "resource": "subjectaccessreviews", "verb": "create"}
FILE = "/etc/mlflow-proxy/secret"


def overlay(kubectl: Kubectl, directory: Path, *components: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "List", "items": kubectl.built(directory, *components)}


def may_review(kubectl: Kubectl) -> bool:
    review = {**SERVER, "resourceAttributes": REVIEWS}
    return bool(kubectl.create("SubjectAccessReview", review)["allowed"])


@pytest.mark.parametrize("components", [("proxy-headers",), ("audiences", "proxy-headers")])
def test_the_server_may_review_others_and_finds_its_secret(
    kubectl: Kubectl, tmp_path: Path, components: tuple[str, ...]
) -> None:
    assert not may_review(kubectl)
    applied = overlay(kubectl, tmp_path, *components)
    kubectl.run("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=applied)
    assert may_review(kubectl)
    pod = kubectl.json("get", "deployment", "mlflow", "-n", "mlflow")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {"name": "WORKSPACE_AUTHZ_PROXY_SECRET_FILE", "value": FILE} in container["env"]
    mounted = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    volumes = {each["name"]: each for each in pod["volumes"]}
    secret = volumes[mounted["/etc/mlflow-proxy"]]["secret"]
    assert (secret["secretName"], secret["items"]) == ("mlflow-proxy", [{"key": "secret", "path": "secret"}])
    for item in applied["items"]:
        if item["kind"] == "ClusterRoleBinding" and "reviews" in item["metadata"]["name"]:
            kubectl.run("delete", "clusterrolebinding", item["metadata"]["name"])
