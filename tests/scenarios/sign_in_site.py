"""A server at which people sign in at a stand-in that can misbehave."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from tests.harness.hostile_oidc import HostileProvider, hostile_provider
from tests.harness.http import Http
from tests.harness.oidc import CLIENT, HINT
from tests.harness.plane import Object
from tests.harness.server import MlflowServer
from tests.harness.visitor import target
from tests.scenarios.people import TEAM_A, TEAM_B, Cluster
from tests.scenarios.signing_in import Person, mappings, parameters, person, reviewing_account, sign_in_server
from workspace_authz.devplane.pki import create_pki

SEARCH: Final = "/ajax-api/2.0/mlflow/experiments/search?max_results=1"
BARE: Final = "bare"
"""The provider whose names have no prefix."""


@dataclass(frozen=True, slots=True)
class SignInSite:
    """A server, where its people sign in, and what they may do."""

    cluster: Cluster
    server: MlflowServer
    provider: HostileProvider
    authority: Path
    """The server's certificate authority."""


@contextmanager
def sign_in_site(cluster: Cluster, database: Path, state: Path) -> Iterator[SignInSite]:
    """For as long as the block lasts. alice may write in team-a and read in team-b, carol write in team-b."""
    plane = cluster.plane
    state.mkdir(parents=True, exist_ok=True)
    bindings = [
        plane.bind(TEAM_A, "edit", user="oidc:alice"),
        plane.bind(TEAM_B, "view", user="oidc:alice"),
        plane.bind(TEAM_B, "edit", user="oidc:carol"),
        plane.bind(TEAM_A, "view", group="oidc:last-of-many"),
    ]
    tokens = {name: f"access-token-of-{name}" for name in ("alice", "carol", "mallory")}
    pki = create_pki(state / "pki")
    with hostile_provider(tokens) as provider, reviewing_account(plane, "sign-in", state=state) as kubeconfig:
        bare: Object = {
            "username": {"claim": "preferred_username", "prefix": ""},
            "groups": {"claim": "groups", "prefix": ""},
        }
        with sign_in_server(
            state / "server",
            kubeconfig=kubeconfig,
            database=database,
            pki=pki,
            providers=[
                {**_provider(provider, "stand-in", mappings()), "commandLine": {"id": CLIENT}},
                _provider(provider, BARE, bare),
            ],
            environment={"WORKSPACE_AUTHZ_REJECTIONS_PER_SECOND": "1000"},  # all come from one address
        ) as server:
            yield SignInSite(cluster, server, provider, pki.ca_cert)
    for binding in bindings:
        plane.delete(binding)


def _provider(provider: HostileProvider, name: str, claims: Object) -> Object:
    return {
        "name": name,
        "issuer": {"url": provider.url},
        "client": {"id": CLIENT, "secret": "a-secret-of-the-client"},
        "claimMappings": claims,
    }


def id_token(site: SignInSite, user: str) -> str:
    """As a login from the command line gets one: with PKCE, and without the server."""
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    back = "http://127.0.0.1:1/callback"
    asked = {
        **{"client_id": CLIENT, "redirect_uri": back, "response_type": "code", "scope": "openid"},
        **{"state": "s", "code_challenge": challenge, "code_challenge_method": "S256", HINT: user},
    }
    with closing(Http(site.provider.url)) as provider:
        code = parameters(target(provider.request("GET", f"/authorize?{urlencode(asked)}")))["code"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": back, "client_id": CLIENT}
        body = urlencode({**form, "code_verifier": verifier}).encode()
        return str(provider.request("POST", "/token", body=body).json["id_token"])


@contextmanager
def signed_in(site: SignInSite, user: str) -> Iterator[Person]:
    """Somebody who has signed in, for as long as the block lasts."""
    with person(site.server) as somebody:
        assert somebody.sign_in(user).status == 303
        yield somebody


def status(somebody: Person, workspace: str = TEAM_A, **headers: str) -> int:
    """Of a search in a workspace."""
    return somebody.ask("GET", SEARCH, workspace=workspace, headers=headers).status
