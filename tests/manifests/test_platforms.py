"""What the overlays for Kubeflow and OpenShift AI mean there, on a real API server."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.harness.crds import defining
from tests.manifests.flat import objects, of_kind
from tests.manifests.kube import Kubectl
from tests.manifests.platforms import applied, kubeflow_role
from tests.manifests.test_quickstart import rights_of
from workspace_authz.roles.policy import ADMIN, EDIT, INTEGRATION, VIEW, Right, Role
from workspace_authz.types import API_GROUP

INTEGRATION_OF_RHOAI = "mlflow-operator-mlflow-integration"
"""What Red Hat's notebook controller binds (opendatahub-io/kubeflow, notebook_mlflow.go)."""
_SECONDS = 120


@pytest.fixture(scope="module")
def kubeflow(cluster: Kubectl) -> Iterator[Kubectl]:
    """A cluster with Kubeflow's roles, and the overlay."""
    roles = [
        kubeflow_role("view", taken_in_by="edit"),
        kubeflow_role("edit", taken_in_by="admin"),
        kubeflow_role("admin"),
    ]
    made = {"apiVersion": "v1", "kind": "List", "items": roles}
    cluster.run("apply", "--server-side", "-f", "-", stdin=made)
    with applied(cluster, "kubeflow"):
        yield cluster
    cluster.run("delete", "-f", "-", stdin=made)


@pytest.mark.parametrize("role", [VIEW, EDIT, ADMIN], ids=lambda role: role.name)
def test_a_role_of_kubeflow_takes_in_exactly_ours(role: Role, kubeflow: Kubectl) -> None:
    name = role.name.replace("mlflow", "kubeflow")
    deadline = time.monotonic() + _SECONDS
    found: frozenset[Right] = frozenset()
    while found != role.rights and time.monotonic() < deadline:
        found = rights_of(kubeflow.json("get", "clusterrole", name))  # aggregated a moment after the apply
    assert found == role.rights


def test_workspaces_of_kubeflow_are_its_profiles(kubeflow: Kubectl) -> None:
    settings = next(
        each["data"]
        for each in of_kind(objects("kubeflow"), "ConfigMap")
        if "WORKSPACE_AUTHZ_PUBLIC_URL" in each["data"]
    )
    namespaces = ("profile", "no-profile")
    for name in namespaces:
        kubeflow.run("create", "namespace", name)
    kubeflow.run("label", "namespace", "profile", "app.kubernetes.io/part-of=kubeflow-profile")

    selector = settings["WORKSPACE_AUTHZ_WORKSPACE_LABEL_SELECTOR"]
    found = kubeflow.json("get", "namespaces", "-l", selector)["items"]

    assert {each["metadata"]["name"] for each in found} & {*namespaces} == {"profile"}
    kubeflow.run("delete", "namespace", *namespaces, "--wait=false")


def test_a_workbench_of_openshift_ai_may_log_and_not_delete(cluster: Kubectl) -> None:
    """Given the RoleBinding that Red Hat's notebook controller makes for the annotation."""
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "workbench-mlflow", "namespace": "default"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": INTEGRATION_OF_RHOAI,
        },
        "subjects": [{"kind": "ServiceAccount", "name": "workbench", "namespace": "default"}],
    }
    with applied(cluster, "openshift-ai"):
        cluster.run("apply", "-f", "-", stdin=binding)
        assert rights_of(cluster.json("get", "clusterrole", INTEGRATION_OF_RHOAI)) == INTEGRATION.rights
        deadline = time.monotonic() + _SECONDS
        while not may(cluster, "update") and time.monotonic() < deadline:
            continue  # the authorizer follows the binding
        assert may(cluster, "update")
        assert not may(cluster, "delete")
    cluster.run("delete", "-f", "-", stdin=binding)


def may(kubectl: Kubectl, verb: str) -> bool:
    """What the workbench's account may do with experiments."""
    asked = {"group": API_GROUP, "resource": "experiments", "verb": verb, "namespace": "default"}
    who = {"user": "system:serviceaccount:default:workbench", "groups": ["system:authenticated"]}
    return bool(kubectl.create("SubjectAccessReview", {**who, "resourceAttributes": asked})["allowed"])


def test_a_users_overlay_names_the_host_once(cluster: Kubectl) -> None:
    """Given components that no overlay of ours has: cert-manager's objects and a route of the Gateway API."""
    kinds = {
        ("cert-manager.io", "Certificate"),
        ("cert-manager.io", "Issuer"),
        ("gateway.networking.k8s.io", "HTTPRoute"),
        ("monitoring.coreos.com", "PrometheusRule"),
        ("monitoring.coreos.com", "ServiceMonitor"),
    }
    cluster.run("apply", "--server-side", "-f", "-", text=defining(kinds))
    cluster.run("wait", "--for=condition=Established", "crd", "--all", "--timeout=240s")
    folder = ("-k", "tests/manifests/users_overlay")

    cluster.run("apply", "--server-side", "--validate=strict", *folder)

    certificate = cluster.json("get", "certificate", "mlflow", "-n", "mlflow")
    route = cluster.json("get", "httproute", "mlflow", "-n", "mlflow")
    assert "mlflow.acme.test" in certificate["spec"]["dnsNames"]
    assert route["spec"]["hostnames"] == ["mlflow.acme.test"]
    cluster.run("delete", "--ignore-not-found", *folder)
