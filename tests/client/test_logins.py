"""Logins on disk: for their user only, and renewed once for all processes."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.harness.oidc import CLIENT, OidcProvider, oidc_provider
from tests.identity.jwts import jwt
from workspace_authz.client.logins import Login, Logins, token_of
from workspace_authz.errors import ConfigurationError

SERVER = "https://mlflow.example.com:443"
LOGIN = Login(
    server=SERVER,
    issuer="https://issuer.example.com",
    client_id=CLIENT,
    scope="openid",
    ca_file="",
    token_endpoint="https://issuer.example.com/token",
    workspace="team-a",
    id_token="header.payload.signature",
    refresh_token="refresh",
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state" / "logins"


@pytest.fixture
def provider() -> Iterator[OidcProvider]:
    with oidc_provider({"alice": "token-of-alice"}) as provider:
        yield provider


def expiring(provider: OidcProvider, *, seconds: float) -> Login:
    """A login whose ID token expires soon, at a provider that renews it."""
    renewable = provider._issue("alice")
    token = jwt({"iss": provider.url, "aud": CLIENT, "sub": "alice", "exp": int(time.time() + seconds)})
    return replace(
        LOGIN,
        issuer=provider.url,
        token_endpoint=f"{provider.url}/token",
        id_token=token,
        refresh_token=renewable["refresh_token"],
    )


def test_what_is_kept_is_for_its_user_only(directory: Path) -> None:
    """Whatever umask says."""
    before = os.umask(0)
    try:
        file = Logins(directory).write(LOGIN)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert Logins(directory).read(SERVER) == LOGIN
    assert [path.name for path in directory.iterdir()] == [file.name]  # nothing is left of writing it


def test_secrets_are_not_in_its_repr() -> None:
    assert "signature" not in repr(LOGIN)
    assert "'refresh'" not in repr(LOGIN)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660])
def test_a_file_that_others_can_use_is_refused(directory: Path, mode: int) -> None:
    Logins(directory).write(LOGIN).chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod go="):
        Logins(directory).read(SERVER)


def test_a_directory_that_others_can_use_is_refused(directory: Path) -> None:
    Logins(directory).write(LOGIN)
    directory.chmod(0o755)
    with pytest.raises(ConfigurationError, match="chmod go="):
        Logins(directory).read(SERVER)
    with pytest.raises(ConfigurationError, match="chmod go="):
        Logins(directory).write(LOGIN)


def test_a_link_is_refused(directory: Path, tmp_path: Path) -> None:
    file = Logins(directory).write(LOGIN)
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Logins(directory).read(SERVER)


def test_a_file_of_another_user_is_refused(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Logins(directory).write(LOGIN)
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    with pytest.raises(ConfigurationError, match="another user"):
        Logins(directory).read(SERVER)


NUMBER = json.dumps({**asdict(LOGIN), "id_token": 7})


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"server": "x"}', NUMBER])
def test_a_damaged_file_is_refused(directory: Path, content: str) -> None:
    Logins(directory).write(LOGIN).write_text(content)
    with pytest.raises(ConfigurationError, match="log in again"):
        Logins(directory).read(SERVER)


def test_a_file_of_another_server_is_refused(directory: Path) -> None:
    """A token is for one server: a file that is copied to another's name does not change that."""
    logins, other = Logins(directory), "https://elsewhere.example.com:443"
    logins.write(LOGIN).rename(logins.file(other))
    with pytest.raises(ConfigurationError, match="damaged"):
        logins.read(other)


def test_a_token_is_renewed_before_it_expires(directory: Path, provider: OidcProvider) -> None:
    login = expiring(provider, seconds=25)
    Logins(directory).write(login)
    renewed = token_of(directory, SERVER)
    assert renewed is not None
    assert renewed.id_token != login.id_token
    assert token_of(directory, SERVER) == renewed == Logins(directory).read(SERVER)
    assert len(provider.asked) == 1


def test_a_refresh_token_is_used_once_however_many_need_it(directory: Path, provider: OidcProvider) -> None:
    """It counts once at the provider of the tests, as at Keycloak with rotation."""
    Logins(directory).write(expiring(provider, seconds=-5))
    with ThreadPoolExecutor(8) as executor:
        found = list(executor.map(lambda _: token_of(directory, SERVER), range(8)))
    assert len({login.id_token for login in found if login is not None}) == 1
    assert len(provider.asked) == 1


def test_a_login_that_ended_at_the_provider_says_what_to_do(directory: Path, provider: OidcProvider) -> None:
    Logins(directory).write(replace(expiring(provider, seconds=-5), refresh_token="revoked"))
    with pytest.raises(ConfigurationError, match="workspace-authz login --server https://mlflow"):
        token_of(directory, SERVER)


def test_one_without_a_refresh_token_counts_until_it_expires(directory: Path, provider: OidcProvider) -> None:
    login = replace(expiring(provider, seconds=25), refresh_token="")
    Logins(directory).write(login)
    assert token_of(directory, SERVER) == login
    Logins(directory).write(replace(expiring(provider, seconds=-1), refresh_token=""))
    with pytest.raises(ConfigurationError, match="has expired"):
        token_of(directory, SERVER)


def test_a_provider_that_is_away_ends_no_token_that_is_valid(directory: Path, provider: OidcProvider) -> None:
    away = "http://127.0.0.1:9/token"
    login = replace(expiring(provider, seconds=25), token_endpoint=away)
    Logins(directory).write(login)
    assert token_of(directory, SERVER) == login
    Logins(directory).write(replace(expiring(provider, seconds=-1), token_endpoint=away))
    with pytest.raises(ConfigurationError, match="cannot be reached"):
        token_of(directory, SERVER)
