"""An account of an MLflow server that may review others, apart from that of the other scenarios."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.harness.plane import RBAC, Object, Plane
from tests.scenarios.waiting import until

REVIEWS: Final = "mlflow-server-reviews"
_SERVER: Final = "mlflow-server"
_GROUP: Final = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class OwnAccount:
    """The service account ``mlflow/<name>``, bound to the ClusterRoles of a server."""

    plane: Plane
    name: str
    kubeconfig: Path
    """The server's, with a token of this account."""

    def bind(self, role: str = REVIEWS) -> None:
        """Bind it to a ClusterRole across the cluster."""
        binding: Object = {
            "apiVersion": f"{_GROUP}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"{self.name}-{role}"},
            "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "namespace": "mlflow", "name": self.name}],
        }
        self.plane.make(f"{RBAC}/clusterrolebindings", binding)

    def unbind(self, role: str = REVIEWS) -> None:
        """Take that away."""
        self.plane.delete(f"{RBAC}/clusterrolebindings/{self.name}-{role}")

    def may_review(self) -> bool:
        """Whether the API server acts on the binding already."""
        (token,) = (line.split()[1] for line in self.kubeconfig.read_text().splitlines() if "token:" in line)
        review = {"spec": {"user": "mallory", "nonResourceAttributes": {"verb": "get", "path": "/x"}}}
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        return self.plane.ask("POST", path, review, token=token).status == 201


@contextmanager
def own_account(plane: Plane, name: str, *, state: Path) -> Iterator[OwnAccount]:
    """The account with its bindings, for as long as the block lasts."""
    roles: Sequence[str] = (_SERVER, REVIEWS)
    account = OwnAccount(plane, name, state / "kubeconfig")
    account.kubeconfig.write_text(_with_token(plane, plane.service_account("mlflow", name)))
    for role in roles:
        account.bind(role)
    until(account.may_review)
    yield account
    for role in roles:
        account.unbind(role)


def _with_token(plane: Plane, token: str) -> str:
    """The server's kubeconfig with another token."""
    lines = plane.server_kubeconfig.read_text().splitlines()
    return "\n".join(f"    token: {token}" if line.strip().startswith("token:") else line for line in lines)
