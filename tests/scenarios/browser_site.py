"""A server at which people sign in at a real Keycloak, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.harness.browser import Profile
from tests.harness.keycloak import Keycloak
from tests.harness.keycloak_realm import CLIENT, PUBLIC_CLIENT
from tests.harness.server import MlflowServer
from tests.scenarios.people import Cluster, given_groups
from tests.scenarios.signing_in import PAGE, at_keycloak, reviewing_account, sign_in_server
from workspace_authz.devplane.pki import create_pki

RENEW_SECONDS: Final = 2
"""How often Keycloak is asked about somebody again."""
BUTTON: Final = "text=Sign in with Keycloak"
FORM: Final = "#kc-login"
"""The button of Keycloak's own page."""


@dataclass(frozen=True, slots=True)
class BrowserSite:
    """A server, its cluster, and where its people sign in."""

    cluster: Cluster
    server: MlflowServer
    keycloak: Keycloak

    def open(self, profile: Profile, place: str = "/") -> None:
        """Open a place on the server anew, even if only the fragment is another."""
        profile.go("about:blank")
        profile.go(self.server.url + place)

    def press_button(self, profile: Profile) -> None:
        """Choose Keycloak on the page of signing in."""
        profile.wait_until_at(self.server.url + PAGE)
        profile.click(BUTTON)

    def fill_in_form(self, profile: Profile, user: str) -> None:
        """Log in on Keycloak's page."""
        profile.wait_until_at(self.keycloak.issuer)
        profile.type("#username", user)
        profile.type("#password", self.keycloak.passwords[user])
        profile.click(FORM)

    def sign_in(self, profile: Profile, user: str, place: str = "/") -> None:
        """All of it, from opening a place to MLflow's page."""
        self.open(profile, place)
        self.press_button(profile)
        self.fill_in_form(profile, user)
        profile.wait_until_at(f"{self.server.url}/")


@contextmanager
def browser_site(
    cluster: Cluster, keycloak: Keycloak, *, database: Path, state: Path, trusted: bool
) -> Iterator[BrowserSite]:
    """For as long as the block lasts. ``trusted``: whether the cluster's API server trusts Keycloak.

    The one server is a public client of Keycloak's, the other a confidential one.
    """
    with ExitStack() as stack:
        kubeconfig = cluster.plane.server_kubeconfig
        if not trusted:
            for binding in given_groups(cluster.plane):
                stack.callback(cluster.plane.delete, binding)
            kubeconfig = stack.enter_context(reviewing_account(cluster.plane, "in-browser", state=state))
        confidential = {"id": CLIENT, "secret": keycloak.secret}
        provider = at_keycloak(
            keycloak,
            client={"id": PUBLIC_CLIENT} if trusted else confidential,
            trustedByAPIServer=trusted,
            allowedGroups=["mlflow-users", "mlflow-admins"],
            renewSeconds=RENEW_SECONDS,
        )
        server = stack.enter_context(
            sign_in_server(
                state / "server",
                kubeconfig=kubeconfig,
                database=database,
                pki=create_pki(state / "pki"),
                providers=[provider],
            )
        )
        keycloak.allow_redirects(server.url)
        yield BrowserSite(cluster, server, keycloak)
