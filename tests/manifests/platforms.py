"""An overlay for a platform on the tests' cluster, with what the platform itself would have brought."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.manifests.kube import Kubectl
from tests.manifests.test_overlays import prepare

_RBAC = "rbac.authorization.k8s.io"
_KUBEFLOW = "rbac.authorization.kubeflow.org/aggregate-to-kubeflow-"


@contextmanager
def applied(kubectl: Kubectl, name: str) -> Iterator[Kubectl]:
    """An overlay, for as long as the block lasts."""
    prepare(kubectl, name)
    kubectl.apply(name)
    yield kubectl
    kubectl.delete(name)


def kubeflow_role(name: str, *, taken_in_by: str = "") -> dict[str, Any]:
    """``kubeflow-view``, ``-edit`` or ``-admin`` as in Kubeflow's manifests (kubeflow-roles)."""
    labels = {f"{_KUBEFLOW}{taken_in_by}": "true"} if taken_in_by else {}
    selector = {"matchLabels": {f"{_KUBEFLOW}{name}": "true"}}
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": f"kubeflow-{name}", "labels": labels},
        "aggregationRule": {"clusterRoleSelectors": [selector]},
    }
