"""Every overlay on a real API server: accepted, its pods admitted, and its deletion spares the data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest

from tests.harness.crds import defining
from tests.manifests.flat import OVERLAYS, Object, Workload, flat, objects, of_kind, workload, workloads
from tests.manifests.kube import Kubectl

BUILT_IN = frozenset(
    {"", "apps", "batch", "autoscaling", "policy", "networking.k8s.io", "rbac.authorization.k8s.io"}
)


@dataclass(frozen=True, slots=True)
class Applied:
    """An overlay that was applied."""

    name: str
    kubectl: Kubectl

    @property
    def live(self) -> list[Workload]:
        """Its workloads as the API server completed them."""
        return [
            workload(self.kubectl.json("get", each.kind, each.name, "-n", each.namespace))
            for each in workloads(objects(self.name))
        ]


@pytest.fixture(scope="module", params=OVERLAYS)
def overlay(request: pytest.FixtureRequest, cluster: Kubectl) -> Iterator[Applied]:
    """Each of them in turn, on a cluster that knows the kinds of third parties that it uses."""
    prepare(cluster, request.param)
    cluster.apply(request.param)
    yield Applied(request.param, cluster)
    cluster.delete(request.param)


def prepare(kubectl: Kubectl, name: str) -> None:
    """Define what the overlay's objects are, and make the namespaces of others that it writes to."""
    define(kubectl, objects(name))
    for namespace in {each["metadata"].get("namespace", "mlflow") for each in objects(name)} - {"mlflow"}:
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        kubectl.run("apply", "--server-side", "-f", "-", stdin=manifest)


def define(kubectl: Kubectl, found: Iterable[Object]) -> None:
    """The kinds of third parties, as they ship them."""
    kinds = {(each["apiVersion"].rpartition("/")[0], each["kind"]) for each in found}
    foreign = {kind for kind in kinds if kind[0] not in BUILT_IN}
    if foreign:
        kubectl.define(defining(foreign))


def test_applying_it_again_changes_nothing(overlay: Applied) -> None:
    assert overlay.kubectl.run("diff", "--server-side", "-f", str(flat(overlay.name))) == ""


def test_its_pods_are_admitted_under_the_restricted_standard_and_get_no_token_that_they_did_not_ask_for(
    overlay: Applied,
) -> None:
    assert overlay.live
    for each in overlay.live:
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "probe", "namespace": "mlflow"},
            "spec": each.pod,
        }
        admitted = overlay.kubectl.json("create", "--dry-run=server", "-f", "-", stdin=pod)["spec"]
        assert admitted.get("volumes") == each.pod.get("volumes"), each


KINDS = "CustomResourceDefinition"
"""Deleting a kind deletes all its objects, in everybody's namespace."""


def test_deleting_it_spares_the_data(cluster: Kubectl) -> None:
    """The namespace holds the volume and the secrets, so an overlay has no namespace either."""
    for name in OVERLAYS:
        secrets = {each.get("type") for each in of_kind(objects(name), "Secret")}
        assert secrets <= {"kubernetes.io/service-account-token"}
        assert not of_kind(objects(name), "Namespace", "PersistentVolumeClaim", "PersistentVolume", KINDS)
    secret = ("secret", "mlflow-crypto", "-n", "mlflow")
    cluster.run("create", "secret", "generic", *secret[1:], "--from-literal=passphrase=x")
    cluster.apply("quickstart")

    cluster.delete("quickstart")

    for kept in (("namespace", "mlflow"), ("persistentvolumeclaim", "mlflow", "-n", "mlflow"), secret):
        assert "deletionTimestamp" not in cluster.json("get", *kept)["metadata"]
    cluster.run("delete", *secret)
