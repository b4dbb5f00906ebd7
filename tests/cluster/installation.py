"""The overlay ``production`` in pods, installed in the order that is hardest for it: itself first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.cluster.machine import Cluster
from tests.cluster.waiting import Object, until, waiting
from tests.manifests.kube import Kubectl

HERE: Final = Path(__file__).parent / "manifests"
NAMESPACE: Final = "mlflow"
TEAM: Final = "team-a"
IMAGE: Final = "localhost/workspace-authz:0.1.0"
REPLICAS: Final = 2
_SECRETS: Final = {
    "mlflow-crypto": {"passphrase": "passphrase-of-this-test"},
    "mlflow-s3": {"AWS_ACCESS_KEY_ID": "the-servers-own", "AWS_SECRET_ACCESS_KEY": "the-servers-own"},
    "mlflow-database": {
        "uri": "postgresql+psycopg2://mlflow:password-of-the-database@postgres.storage.svc.cluster.local/mlflow"
    },
}
_MAKE_BUCKETS: Final = (
    "import urllib.request as r; [r.urlopen(r.Request(f'http://127.0.0.1:9000/{name}', method='PUT', headers="
    "{'Authorization': 'AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request'})) "
    "for name in ('mlflow', 'mlflow-archive')]"
)


@dataclass(frozen=True, slots=True)
class Installation:
    """What was seen on the way, and the way to it."""

    kubectl: Kubectl
    early: tuple[tuple[str, str], ...]
    """Why containers of the server and of the migration waited while there were no Secrets."""
    server_pods: tuple[Object, ...]
    """As they were when the rollout ended."""


def install(cluster: Cluster) -> Installation:
    """Apply everything, Secrets and storage last; return once all replicas are available."""
    kubectl = cluster.kubectl
    kubectl.run("apply", "-f", "manifests/namespace.yaml")
    kubectl.run("apply", "--server-side", "-k", str(HERE / "production"))
    early = until(lambda: _all_waiting(kubectl), "the early pods", kubectl=kubectl)
    for name, values in _SECRETS.items():
        given = [f"--from-literal={key}={value}" for key, value in values.items()]
        kubectl.run("-n", NAMESPACE, "create", "secret", "generic", name, *given)
    kubectl.run("apply", "-f", str(HERE / "storage"))
    kubectl.run("-n", "storage", "wait", "pod", "--all", "--for=condition=Ready", "--timeout=300s")
    kubectl.run("-n", "storage", "exec", "s3", "--", "python3", "-c", _MAKE_BUCKETS)
    kubectl.run("-n", "storage", "exec", "postgres", "--", *_CREATE_DATABASE)
    _let_a_team_in(kubectl)
    until(lambda: _available(kubectl), "the rollout", kubectl=kubectl)
    return Installation(kubectl, early, tuple(server_pods(kubectl)))


_CREATE_DATABASE: Final = (
    "env",
    "PGPASSWORD=password-of-the-database",
    "createdb",
    *("-h", "127.0.0.1", "-U", "mlflow", "mlflow"),
)


def _let_a_team_in(kubectl: Kubectl) -> None:
    kubectl.run("create", "namespace", TEAM)
    kubectl.run("-n", TEAM, "create", "serviceaccount", "trainer")
    account = f"--serviceaccount={TEAM}:trainer"
    kubectl.run("-n", TEAM, "create", "rolebinding", "trainer", "--clusterrole=mlflow-integration", account)


def server_pods(kubectl: Kubectl) -> list[Object]:
    """Those of the Deployment."""
    selector = "app.kubernetes.io/name=mlflow"
    return list(kubectl.json("-n", NAMESPACE, "get", "pods", "-l", selector)["items"])


def _all_waiting(kubectl: Kubectl) -> tuple[tuple[str, str], ...] | None:
    """Why each pod waits, once every one says it."""
    pods = kubectl.json("-n", NAMESPACE, "get", "pods")["items"]
    reasons = [[why for why in waiting(pod) if why[0] != "PodInitializing"] for pod in pods]
    if len(pods) < REPLICAS + 1 or not all(any(message for _, message in each) for each in reasons):
        return None
    return tuple(why for each in reasons for why in each)


def _available(kubectl: Kubectl) -> bool | None:
    status = kubectl.json("-n", NAMESPACE, "get", "deployment", "mlflow")["status"]
    return status.get("availableReplicas", 0) == status.get("replicas") == REPLICAS or None
