"""A server at which people sign in at a stand-in that can misbehave."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.harness.hostile_oidc import HostileProvider, hostile_provider
from tests.harness.oidc import CLIENT
from tests.harness.plane import Object
from tests.harness.server import MlflowServer
from tests.scenarios.people import TEAM_A, TEAM_B, Cluster
from tests.scenarios.signing_in import Person, mappings, person, reviewing_account, sign_in_server
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


@contextmanager
def signed_in(site: SignInSite, user: str) -> Iterator[Person]:
    """Somebody who has signed in, for as long as the block lasts."""
    with person(site.server) as somebody:
        assert somebody.sign_in(user).status == 303
        yield somebody


def status(somebody: Person, workspace: str = TEAM_A, **headers: str) -> int:
    """Of a search in a workspace."""
    return somebody.ask("GET", SEARCH, workspace=workspace, headers=headers).status
