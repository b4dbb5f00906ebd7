"""The overlays for platforms on a real API server, with the real definitions of third parties' kinds."""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml

from tests.manifests.kube import ROOT, Kubectl
from tests.manifests.platforms.conftest import apply
from tests.manifests.test_quickstart import rights_of
from workspace_authz.roles.policy import ADMIN, EDIT, INTEGRATION, VIEW, Right, Role
from workspace_authz.types import API_GROUP

PLATFORMS = ("openshift", "openshift-ai", "kubeflow", "k3s-keycloak")
_SECONDS = 60


def templates(platform: str) -> list[dict[str, Any]]:
    """The pods that an overlay's workloads make."""
    made = [*yaml.safe_load_all((ROOT / "manifests" / f"{platform}.yaml").read_text())]
    specs = [each["spec"] for each in made if each["kind"] in ("Deployment", "Job", "CronJob")]
    return [spec.get("jobTemplate", {"spec": spec})["spec"]["template"] for spec in specs]


@pytest.fixture(scope="module", params=PLATFORMS)
def platform(request: pytest.FixtureRequest, kubectl: Kubectl) -> str:
    """The name of a platform, whose overlay was applied."""
    apply(kubectl, f"manifests/{request.param}.yaml")
    return str(request.param)


def test_applying_it_again_changes_nothing(platform: str, kubectl: Kubectl) -> None:
    file = f"manifests/{platform}.yaml"
    apply(kubectl, file)
    assert kubectl.run("diff", "--server-side", "--force-conflicts", "-f", file) == ""


def test_its_pods_pass_the_restricted_standard(platform: str, kubectl: Kubectl) -> None:
    for number, template in enumerate(templates(platform)):
        metadata = {**template["metadata"], "name": f"{platform}-{number}", "namespace": "mlflow"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
        kubectl.run("create", "--dry-run=server", "-f", "-", stdin=pod)


@pytest.mark.parametrize("role", [VIEW, EDIT, ADMIN], ids=lambda role: role.name)
def test_a_role_of_kubeflow_takes_in_exactly_ours(role: Role, kubectl: Kubectl) -> None:
    apply(kubectl, "manifests/kubeflow.yaml")
    name = role.name.replace("mlflow", "kubeflow")
    deadline = time.monotonic() + _SECONDS
    found: frozenset[Right] = frozenset()
    while found != role.rights and time.monotonic() < deadline:
        found = rights_of(kubectl.json("get", "clusterrole", name))  # aggregated a moment after the apply
    assert found == role.rights


def test_workspaces_of_kubeflow_are_its_profiles(kubectl: Kubectl) -> None:
    apply(kubectl, "manifests/kubeflow.yaml")
    settings = _settings(kubectl, "kubeflow")
    for name in ("profile", "no-profile"):
        kubectl.run("create", "namespace", name)
    kubectl.run("label", "namespace", "profile", "app.kubernetes.io/part-of=kubeflow-profile")
    selector = settings["WORKSPACE_AUTHZ_WORKSPACE_LABEL_SELECTOR"]
    found = kubectl.json("get", "namespaces", "-l", selector)["items"]
    assert [each["metadata"]["name"] for each in found] == ["profile"]


def _settings(kubectl: Kubectl, platform: str) -> dict[str, str]:
    """The variables of an overlay that the API server holds."""
    sources = templates(platform)[0]["spec"]["containers"][0]["envFrom"]
    name = next(each["configMapRef"]["name"] for each in sources if "configMapRef" in each)
    data: dict[str, str] = kubectl.json("get", "configmap", name, "-n", "mlflow")["data"]
    return data


@pytest.mark.parametrize(
    ("verb", "resource", "allowed"), [("update", "experiments", True), ("delete", "experiments", False)]
)
def test_a_workbench_of_openshift_ai_may_log(
    verb: str, resource: str, allowed: bool, kubectl: Kubectl
) -> None:
    """Given the RoleBinding that Red Hat's notebook controller makes for the annotation."""
    apply(kubectl, "manifests/openshift-ai.yaml")
    name = "mlflow-operator-mlflow-integration"
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "workbench-mlflow", "namespace": "default"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "workbench", "namespace": "default"}],
    }
    kubectl.run("apply", "-f", "-", stdin=binding)
    assert rights_of(kubectl.json("get", "clusterrole", name)) == INTEGRATION.rights
    asked = {"group": API_GROUP, "resource": resource, "verb": verb, "namespace": "default"}
    who = {"user": "system:serviceaccount:default:workbench", "groups": ["system:authenticated"]}
    deadline = time.monotonic() + _SECONDS
    while True:  # the authorizer follows the binding
        status = kubectl.create("SubjectAccessReview", {**who, "resourceAttributes": asked})
        if status["allowed"] is allowed or time.monotonic() > deadline:
            break
    assert status["allowed"] is allowed


def test_objects_that_no_overlay_has_are_taken(kubectl: Kubectl) -> None:
    """cert-manager's, and what the other components make of them."""
    apply(kubectl, "tests/manifests/platforms/with-cert-manager")
    certificate = kubectl.json("get", "certificate", "mlflow", "-n", "mlflow")
    assert "mlflow.acme.test" in certificate["spec"]["dnsNames"]
    route = kubectl.json("get", "httproute", "mlflow", "-n", "mlflow")
    assert route["spec"]["hostnames"] == ["mlflow.acme.test"]
