"""One guarded MLflow with two workers and MLflow's own exporter, as a platform engineer would run it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.database import empty_database
from tests.harness.plane import EMBEDDED, RBAC, devplane
from tests.harness.sdk import preload
from tests.harness.server import MlflowServer, ServerOptions, mlflow_server
from tests.operations.replicas import Replicas, three_replicas
from tests.operations.secret import SecretMount
from tests.operations.workers import PATIENT
from tests.scenarios.people import Cluster, People, given_two_teams
from workspace_authz.devplane.pki import create_pki
from workspace_authz.roles.policy import METRICS_ROLE


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two teams."""
    preload()
    people = People()
    with devplane(EMBEDDED, tmp_path_factory.mktemp("operations") / "plane", users=people.all) as plane:
        yield given_two_teams(plane, people)


@pytest.fixture(scope="session")
def server(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """Below a static prefix, by TLS with a certificate that is mounted as Kubernetes mounts a Secret."""
    state = tmp_path_factory.mktemp("guarded")
    mount = SecretMount(state / "tls")
    mount.put(create_pki(state / "pki-1"))
    options = ServerOptions(
        kubeconfig=cluster.plane.server_kubeconfig,
        workers=2,
        prefix="/mlflow",
        certificate=(mount.certificate, mount.key),
        uvicorn=(PATIENT,),
        arguments=("--expose-prometheus", str(state / "prometheus")),
    )
    with mlflow_server(state, options) as server:
        yield server


@pytest.fixture(scope="session")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    """Three servers on a real kube-apiserver."""
    state = tmp_path_factory.mktemp("replicas")
    with three_replicas(state, database=empty_database(state)) as replicas:
        yield replicas


@pytest.fixture(scope="session")
def scraper(cluster: Cluster) -> str:
    """The token of Prometheus' service account, bound as docs/operations.md says."""
    plane = cluster.plane
    plane.namespace("monitoring")
    token = plane.service_account("monitoring", "prometheus")
    plane.make(
        f"{RBAC}/clusterrolebindings",
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "prometheus-mlflow-metrics"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": METRICS_ROLE,
            },
            "subjects": [{"kind": "ServiceAccount", "namespace": "monitoring", "name": "prometheus"}],
        },
    )
    return token
