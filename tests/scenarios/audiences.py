"""Two servers that accept tokens for an audience of theirs; one of them accepts nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.harness.server import MlflowServer, ServerOptions, starting, wait_until_ready
from tests.scenarios.own_account import OwnAccount, own_account
from tests.scenarios.people import TEAM_A, Cluster

AUDIENCE: Final = "mlflow"
OTHER: Final = "mlflow-staging"


@dataclass(frozen=True, slots=True)
class Site:
    """Two servers with an account that may review others."""

    cluster: Cluster
    account: OwnAccount
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

    def options(account: OwnAccount, **settings: str) -> ServerOptions:
        variables = {
            "WORKSPACE_AUTHZ_AUDIENCES": f"{AUDIENCE}, {OTHER}",
            "WORKSPACE_AUTHZ_IDENTITY_SECONDS": "2",  # shorter than usual, so that tests see changes sooner
            **settings,
        }
        return ServerOptions(kubeconfig=account.kubeconfig, database=database, environment=variables)

    with ExitStack() as stack:
        account = stack.enter_context(own_account(plane, "mlflow-by-audience", state=state))
        server = stack.enter_context(starting(state / "both", options(account)))
        strict = stack.enter_context(
            starting(state / "strict", options(account, WORKSPACE_AUTHZ_AUDIENCES_ONLY="true"))
        )
        for each in (server, strict):
            wait_until_ready(each)
        token = plane.account_token(TEAM_A, "trainer", audiences=[AUDIENCE])
        yield Site(cluster, account, server, strict, token)
