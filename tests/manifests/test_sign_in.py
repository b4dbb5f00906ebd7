"""The component ``sign-in`` on a real API server."""

from __future__ import annotations

from pathlib import Path

from tests.manifests.kube import Kubectl
from tests.manifests.test_proxy_headers import may_review, overlay


def test_the_server_may_review_others_and_finds_its_files(kubectl: Kubectl, tmp_path: Path) -> None:
    assert not may_review(kubectl)
    applied = overlay(kubectl, tmp_path, "sign-in")
    kubectl.run("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=applied)
    assert may_review(kubectl)
    pod = kubectl.json("get", "deployment", "mlflow", "-n", "mlflow")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    variables = {each["name"]: each.get("value") for each in container["env"]}
    mounted = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    volumes = {each["name"]: each for each in pod["volumes"]}
    assert variables["WORKSPACE_AUTHZ_SESSION_KEYS"] == "/etc/mlflow-sessions/keys"
    assert variables["WORKSPACE_AUTHZ_SIGN_IN"] == "/etc/mlflow-sessions/sign-in.yaml"
    assert volumes[mounted["/etc/mlflow-sessions"]]["secret"]["secretName"] == "mlflow-sessions"
    kubectl.run("delete", "clusterrolebinding", "mlflow-server-reviews-for-sign-in")
