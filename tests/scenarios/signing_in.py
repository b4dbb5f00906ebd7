"""Servers at which people sign in, and people who do so over HTTP or in a browser."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.harness.http import Answer, Http
from tests.harness.keycloak import GROUP_PREFIX, USER_PREFIX, Keycloak
from tests.harness.oidc import HINT
from tests.harness.plane import RBAC, Object, Plane
from tests.harness.processes import free_port
from tests.harness.server import MlflowServer, ServerOptions, mlflow_server, trusting
from tests.harness.visitor import Visitor, target
from tests.scenarios.waiting import until
from workspace_authz.devplane.pki import Pki

PAGE: Final = "/workspace-authz/sign-in"
START: Final = f"{PAGE}/start"
CALLBACK: Final = f"{PAGE}/callback"
TOKEN: Final = f"{PAGE}/token"
OUT: Final = "/workspace-authz/sign-out"
SESSION: Final = "__Host-workspace-authz-session"
ATTEMPT: Final = "__Host-workspace-authz-sign-in"
_ROLES: Final = ("mlflow-server", "mlflow-server-reviews")


def mappings() -> Object:
    """``claimMappings`` as the API server has them for the same issuer."""
    return {
        "username": {"claim": "preferred_username", "prefix": USER_PREFIX},
        "groups": {"claim": "groups", "prefix": GROUP_PREFIX},
    }


def at_keycloak(keycloak: Keycloak, *, client: Object, **more: object) -> Object:
    """A provider of the file ``sign_in``."""
    return {
        "name": "keycloak",
        "title": "Keycloak",
        "issuer": {"url": keycloak.issuer, "certificateAuthority": str(keycloak.authority)},
        "client": client,
        "claimMappings": mappings(),
        **more,
    }


@contextmanager
def sign_in_server(
    state: Path,
    *,
    kubeconfig: Path,
    database: Path,
    pki: Pki,
    providers: Sequence[Object],
    environment: Mapping[str, str] | None = None,
    **file: Any,
) -> Iterator[MlflowServer]:
    """A server over TLS at which people sign in, for as long as the block lasts.

    ``file`` are further fields of the file ``sign_in``.
    """
    state.mkdir(parents=True, exist_ok=True)
    port = free_port()
    (state / "keys").write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    (state / "sign-in.yaml").write_text(yaml.safe_dump({"providers": list(providers), **file}))
    options = ServerOptions(
        kubeconfig=kubeconfig,
        database=database,
        certificate=(pki.serving_cert, pki.serving_key),
        port=port,
        environment={
            "WORKSPACE_AUTHZ_PUBLIC_URL": f"https://127.0.0.1:{port}",
            "WORKSPACE_AUTHZ_SESSION_KEYS": str(state / "keys"),
            "WORKSPACE_AUTHZ_SIGN_IN": str(state / "sign-in.yaml"),
            **(environment or {}),
        },
    )
    with mlflow_server(state, options) as server:
        yield server


@contextmanager
def reviewing_account(plane: Plane, name: str, *, state: Path) -> Iterator[Path]:
    """The kubeconfig of a server's own account that may review others, for as long as the block lasts."""
    token = plane.service_account("mlflow", name)
    bindings = [_bind(plane, name, role=role) for role in _ROLES]
    lines = plane.server_kubeconfig.read_text().splitlines()
    kubeconfig = state / f"{name}.kubeconfig"
    kubeconfig.write_text(
        "\n".join(f"    token: {token}" if line.strip().startswith("token:") else line for line in lines)
    )
    until(lambda: _may_review(plane, token))
    try:
        yield kubeconfig
    finally:
        for binding in bindings:
            plane.delete(binding)


def _bind(plane: Plane, name: str, *, role: str) -> str:
    group = "rbac.authorization.k8s.io"
    binding: Object = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"{name}-{role}"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "namespace": "mlflow", "name": name}],
    }
    plane.make(f"{RBAC}/clusterrolebindings", binding)
    return f"{RBAC}/clusterrolebindings/{name}-{role}"


def _may_review(plane: Plane, token: str) -> bool:
    """Whether the API server acts on the bindings already."""
    review = {"spec": {"user": "mallory", "nonResourceAttributes": {"verb": "get", "path": "/x"}}}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    return plane.ask("POST", path, review, token=token).status == 201


@dataclass(slots=True)
class Person(Visitor):
    """Somebody who signs in without a browser."""

    def begin(self, provider: str = "stand-in", *, back_to: str = "/") -> str:
        """Press the button. Returns the address of the provider's login page."""
        return target(self.ask("GET", f"{START}?provider={provider}&next={back_to}"))

    def log_in_at(self, login: str, user: str) -> str:
        """Log in at the stand-in. Returns the path of the callback with which the browser comes back."""
        parts = urlsplit(login)
        with closing(Http(f"{parts.scheme}://{parts.netloc}")) as provider:
            back = target(provider.request("GET", f"{parts.path}?{parts.query}&{HINT}={user}"))
        return back.removeprefix(self.url)

    def sign_in(self, user: str, *, back_to: str = "/") -> Answer:
        """All of it. Returns the answer to the callback."""
        return self.ask("GET", self.log_in_at(self.begin(back_to=back_to), user))


@contextmanager
def person(server: MlflowServer) -> Iterator[Person]:
    """Somebody without cookies, for as long as the block lasts."""
    with closing(Person(server.url, trusting())) as somebody:
        yield somebody


def parameters(url: str) -> Mapping[str, str]:
    """Those of an address's query."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
