"""``workspace-authz login`` at a server that says where."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.harness.command_line import log_in
from tests.harness.oidc import CLIENT, HINT
from tests.harness.plane import EMBEDDED
from tests.scenarios.sign_in_site import SignInSite
from tests.scenarios.signing_in import PAGE

pytestmark = pytest.mark.parametrize("engine", [EMBEDDED], indirect=True)


def test_the_server_says_where(sign_in: SignInSite, tmp_path: Path) -> None:
    """Given nothing but the server's address, then the login is at the provider that it names for this."""
    url = sign_in.provider.url

    def follow(told: str) -> None:
        assert told == f"note: the server names {url} for this."

    def visit(told: str) -> None:
        page = told.rpartition(" ")[2]
        assert page.startswith(f"{url}/authorize?"), told
        urllib.request.urlopen(f"{page}&{urlencode({HINT: 'alice'})}", timeout=120).close()

    trusted = {"MLFLOW_TRACKING_SERVER_CERT_PATH": str(sign_in.authority)}
    environment = {**trusted, "XDG_STATE_HOME": str(tmp_path)}
    server = f"--server={sign_in.server.uri}/workspaces/team-a"
    printed = log_in(server, follow=(follow, visit), environment=environment)
    assert "as alice@example.com" in printed


def test_it_tells_strangers_no_more_than_that(sign_in: SignInSite) -> None:
    """It is open to everybody: no secret, and nothing of providers that are for browsers only."""
    answer = sign_in.server.ask("GET", PAGE, headers={"Accept": "application/json"})
    named, other = answer.json["providers"]
    scope = "openid profile email"
    offered = {"issuer": sign_in.provider.url, "clientId": CLIENT, "scope": scope}
    assert named == {"name": "stand-in", "title": "stand-in", **offered}
    assert other == {"name": "bare", "title": "bare"}
