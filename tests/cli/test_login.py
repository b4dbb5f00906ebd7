"""``workspace-authz login``, ``token`` and ``logout``, as processes of their own at a real provider."""

from __future__ import annotations

import os
import re
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.cli.conftest import Run
from tests.harness import command_line
from tests.harness.oidc import CLIENT, HINT, OidcProvider, oidc_provider
from workspace_authz.kubernetes.credentials import unverified_claims

SERVER = "https://mlflow.example.com"


@pytest.fixture
def provider() -> Iterator[OidcProvider]:
    with oidc_provider({"alice": "token-of-alice"}) as provider:
        yield provider


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{SERVER}/mlflow")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)


def log_in(provider: OidcProvider, *arguments: str) -> str:
    """The command in a process of its own, and alice who does what it says. Returns what it printed."""

    def follow(told: str) -> None:
        if code := re.search(r"the code (\w+)\.", told):
            provider.approve(code[1], "alice")
            return
        page = told.rpartition(" ")[2]
        assert page.startswith(provider.url), told
        urllib.request.urlopen(f"{page}&{urlencode({HINT: 'alice'})}", timeout=120).close()

    return command_line.log_in(*arguments, follow=[follow], environment=os.environ)


def at(provider: OidcProvider) -> tuple[str, ...]:
    return "--issuer", provider.url, "--client-id", CLIENT


@pytest.mark.parametrize("how", [(), ("--device",)], ids=["browser", "device"])
def test_a_login_its_token_and_its_end(
    provider: OidcProvider, run: Run, how: Sequence[str], tmp_path: Path
) -> None:
    printed = log_in(provider, *at(provider), *how)
    assert printed.startswith(
        f"Logged in to {SERVER}:443 as alice@example.com; it is renewed when it expires."
    )
    token = run("token").out.strip()
    assert unverified_claims(token)["sub"] == "alice"
    assert token not in printed
    out = run("logout")
    assert (out.status, out.out) == (0, f"Logged out of {SERVER}:443.\n")
    assert provider._refresh == {}  # it ended at the provider, too
    assert not list(tmp_path.rglob("*.json"))
    assert run("logout").status == 1
    assert "There is no token for" in run("token").err


def test_a_second_login_needs_no_provider(provider: OidcProvider, run: Run) -> None:
    log_in(provider, *at(provider), "--device", "-n", "team-a")
    first = run("token").out
    log_in(provider, "--device")
    assert run("token").out != first


def test_a_login_is_for_one_server(provider: OidcProvider, run: Run) -> None:
    log_in(provider, *at(provider), "--device")
    assert "There is no token for https://elsewhere" in run("token", "--server", "https://elsewhere").err


def test_what_a_login_needs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--issuer URL and --client-id ID" in run("login").err
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert "set MLFLOW_TRACKING_URI, or use --server" in run("login").err


def test_logout_ends_the_login_here_where_the_provider_is_away(run: Run, tmp_path: Path) -> None:
    with oidc_provider({"alice": "token-of-alice"}) as provider:
        log_in(provider, *at(provider), "--device")
    out = run("logout")
    assert out.status == 0
    assert "was not told" in out.err
    assert not list(tmp_path.rglob("*.json"))


def test_the_token_of_a_file_and_nothing_else_on_standard_output(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("for-mlflow")
    monkeypatch.setenv("WORKSPACE_AUTHZ_CLIENT_TOKEN_FILE", str(tmp_path / "token"))
    assert run("token").out == "for-mlflow\n"
