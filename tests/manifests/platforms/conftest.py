"""A real API server that knows the kinds of OpenShift, Istio, Traefik and so on, and has Kubeflow's roles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.crds import definitions
from tests.harness.plane import REAL, Plane, devplane
from tests.manifests.kube import Kubectl
from workspace_authz.devplane import assets

KINDS = (
    "authorizationpolicies.security.istio.io",
    "certificates.cert-manager.io",
    "consolelinks.console.openshift.io",
    "destinationrules.networking.istio.io",
    "httproutes.gateway.networking.k8s.io",
    "ingressroutes.traefik.io",
    "issuers.cert-manager.io",
    "prometheusrules.monitoring.coreos.com",
    "routes.route.openshift.io",
    "servicemonitors.monitoring.coreos.com",
    "virtualservices.networking.istio.io",
)
_KUBEFLOW = "rbac.authorization.kubeflow.org/aggregate-to-kubeflow-"


def kubeflow_role(name: str, *, taken_in_by: str = "") -> dict[str, Any]:
    """``kubeflow-view``, ``-edit`` or ``-admin`` as in Kubeflow's manifests (kubeflow-roles)."""
    labels = {f"{_KUBEFLOW}{taken_in_by}": "true"} if taken_in_by else {}
    selector = {"matchLabels": {f"{_KUBEFLOW}{name}": "true"}}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": f"kubeflow-{name}", "labels": labels},
        "aggregationRule": {"clusterRoleSelectors": [selector]},
        "rules": [],
    }


ROLES = [
    kubeflow_role("view", taken_in_by="edit"),
    kubeflow_role("edit", taken_in_by="admin"),
    kubeflow_role("admin"),
]


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Without anything of ours but the server's account."""
    with devplane(REAL, tmp_path_factory.mktemp("platforms") / "plane", users=[]) as plane:
        yield plane


@pytest.fixture(scope="session")
def kubectl(plane: Plane) -> Kubectl:
    """kubectl as its administrator, after what a platform brings and what is made once."""
    kubectl = Kubectl(assets.find_binary(assets.KUBECTL), plane.admin_kubeconfig)
    kinds = plane.state / "kinds.yaml"
    kinds.write_text(definitions(*KINDS))
    kubectl.run("apply", "--server-side", "-f", str(kinds))
    kubectl.run("wait", "--for=condition=Established", "--timeout=120s", *(f"crd/{kind}" for kind in KINDS))
    for made in ("namespace", "volume"):
        apply(kubectl, f"manifests/{made}.yaml")
    kubectl.run(
        "apply", "--server-side", "-f", "-", stdin={"apiVersion": "v1", "kind": "List", "items": ROLES}
    )
    return kubectl


def apply(kubectl: Kubectl, path: str) -> str:
    """Apply a file, or a directory of kustomize, over what others have left. A Job cannot be changed."""
    kubectl.run("delete", "job", "mlflow-migration", "-n", "mlflow", "--ignore-not-found")
    kind = "-f" if path.endswith(".yaml") else "-k"
    return kubectl.run("apply", "--server-side", "--force-conflicts", "--validate=strict", kind, path)
