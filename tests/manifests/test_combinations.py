"""Components that users join in overlays of their own: what one says holds for what another brings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.manifests.flat import Object, of_kind, workloads
from tests.manifests.kube import Kubectl
from tests.manifests.test_references import ROUTES, prefixes, targets

Join = Callable[..., Sequence[Object]]


@pytest.fixture
def join(cluster: Kubectl, tmp_path: Path) -> Join:
    """The objects of the base with these components, in this order."""
    return partial(cluster.built, tmp_path)


@pytest.mark.parametrize(
    ("components", "uri"),
    [
        ((), "http://mlflow.mlflow.svc"),
        (("static-prefix",), "http://mlflow.mlflow.svc/mlflow"),
        (("tls",), "https://mlflow.mlflow.svc"),
        (("static-prefix", "tls"), "https://mlflow.mlflow.svc/mlflow"),
        (("tls", "static-prefix"), "https://mlflow.mlflow.svc/mlflow"),
    ],
)
def test_the_collector_calls_the_server_where_it_answers(
    join: Join, components: Sequence[str], uri: str
) -> None:
    (collector,) = [each for each in workloads(join("postgres", "gc", *components)) if "gc" in each.name]
    (container,) = collector.containers
    assert {"name": "MLFLOW_TRACKING_URI", "value": uri} in container["env"]


@pytest.mark.parametrize("way_in", ["gateway-api", "traefik"])
@pytest.mark.parametrize("ends_tls", ["tls", "cert-manager"])
def test_a_route_leads_to_a_port_that_the_service_has(join: Join, way_in: str, ends_tls: str) -> None:
    found = join(way_in, ends_tls)
    (service,) = of_kind(found, "Service")
    (route,) = of_kind(found, *ROUTES)
    assert [*targets(route)] == [("mlflow", port["port"]) for port in service["spec"]["ports"]]


@pytest.mark.parametrize("way_in", ["gateway-api", "traefik", "openshift", "istio"])
def test_a_route_takes_no_more_of_a_shared_host_than_mlflow_serves(join: Join, way_in: str) -> None:
    (route,) = of_kind(join(way_in, "static-prefix"), *ROUTES)
    assert {path.rstrip("/") for path in prefixes(route)} == {"/mlflow"}


def test_the_collector_may_come_in_where_only_profiles_may(join: Join) -> None:
    """Given Kubeflow's restriction, then pods of the server's own namespace are not outside of it."""
    found = join("postgres", "gc", "network-policy", "istio", "static-prefix", "kubeflow")
    (policy,) = [each for each in of_kind(found, "NetworkPolicy") if each["metadata"]["name"] == "mlflow"]
    assert {"podSelector": {}} in policy["spec"]["ingress"][0]["from"]


def test_whoever_asks_the_api_server_reaches_it_on_every_kind_of_cluster(join: Join) -> None:
    """Policies are about the ports of pods: 6443 of most API servers, 8443 of minikube's and of ingresses."""
    found = join("postgres", "gc", "trace-archival", "network-policy")
    asking = [each for each in of_kind(found, "NetworkPolicy") if "migration" not in each["metadata"]["name"]]
    assert len(asking) == 3
    for policy in asking:
        out: set[Any] = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
        assert {443, 6443, 8443} <= out, policy["metadata"]["name"]
