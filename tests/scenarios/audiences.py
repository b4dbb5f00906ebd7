"""Two servers that accept tokens for an audience of theirs; one of them accepts nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.harness.plane import RBAC, Object, Plane
from tests.harness.server import MlflowServer, ServerOptions, starting, wait_until_ready
from tests.scenarios.people import TEAM_A, Cluster
from tests.scenarios.waiting import until

AUDIENCE: Final = "mlflow"
OTHER: Final = "mlflow-staging"
ACCOUNT: Final = "mlflow-by-audience"
"""The servers' own account, apart from that of the other scenarios."""
SERVER: Final = "mlflow-server"
REVIEWS: Final = "mlflow-server-reviews"


@dataclass(frozen=True, slots=True)
class Site:
    """Two servers with an account that may review others."""

    cluster: Cluster
    server: MlflowServer
    """Accepts tokens for its audiences beside those for the API server."""
    strict: MlflowServer
    """Accepts tokens for its audiences only."""
    trainer: str = field(repr=False)
    """The trainer's token for MLflow."""

    def token(self, account: str, *audiences: str) -> str:
        """By TokenRequest, as ``kubectl create token --audience`` and the kubelet get one."""
        return self.cluster.plane.account_token(TEAM_A, account, audiences=audiences)


@contextmanager
def audience_site(cluster: Cluster, database: Path, state: Path) -> Iterator[Site]:
    """Both servers for as long as the block lasts."""
    plane = cluster.plane
    kubeconfig = state / "kubeconfig"
    kubeconfig.write_text(with_token(plane, plane.service_account("mlflow", ACCOUNT)))
    for role in (SERVER, REVIEWS):
        bind_server(plane, role)

    def options(**settings: str) -> ServerOptions:
        variables = {
            "WORKSPACE_AUTHZ_AUDIENCES": f"{AUDIENCE}, {OTHER}",
            "WORKSPACE_AUTHZ_IDENTITY_SECONDS": "2",  # shorter than usual, so that tests see changes sooner
            **settings,
        }
        return ServerOptions(kubeconfig=kubeconfig, database=database, environment=variables)

    until(lambda: may_review(plane, kubeconfig))
    with ExitStack() as stack:
        server = stack.enter_context(starting(state / "both", options()))
        strict = stack.enter_context(
            starting(state / "strict", options(WORKSPACE_AUTHZ_AUDIENCES_ONLY="true"))
        )
        for each in (server, strict):
            wait_until_ready(each)
        token = plane.account_token(TEAM_A, "trainer", audiences=[AUDIENCE])
        yield Site(cluster, server, strict, token)
    for role in (SERVER, REVIEWS):
        plane.delete(f"{RBAC}/clusterrolebindings/{ACCOUNT}-{role}")


def with_token(plane: Plane, token: str) -> str:
    """The server's kubeconfig with another token."""
    lines = plane.server_kubeconfig.read_text().splitlines()
    return "\n".join(f"    token: {token}" if line.strip().startswith("token:") else line for line in lines)


def bind_server(plane: Plane, role: str) -> None:
    """Give the servers' account a ClusterRole."""
    group = "rbac.authorization.k8s.io"
    binding: Object = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"{ACCOUNT}-{role}"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "namespace": "mlflow", "name": ACCOUNT}],
    }
    plane.make(f"{RBAC}/clusterrolebindings", binding)


def may_review(plane: Plane, kubeconfig: Path) -> bool:
    """Whether the API server acts on the binding already."""
    (token,) = (line.split()[1] for line in kubeconfig.read_text().splitlines() if "token:" in line)
    review = {"spec": {"user": "mallory", "nonResourceAttributes": {"verb": "get", "path": "/x"}}}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    return plane.ask("POST", path, review, token=token).status == 201
