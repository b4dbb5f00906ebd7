"""Logins that are kept: one file for each server, for its user only.

Whoever can read such a file can act as the user. One that others can read, that is a link, or that belongs
to somebody else is refused, as OpenSSH does with keys. A refresh token may count only once: processes that
need a new token take turns.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, astuple, dataclass, field, replace
from pathlib import Path
from typing import Final

from workspace_authz.client.oidc import Client, RefusedError, TokenSet
from workspace_authz.errors import ConfigurationError
from workspace_authz.kubernetes.credentials import unverified_claims

_RENEW_BEFORE_SECONDS: Final = 30.0
_MAX_BYTES: Final = 256 * 1024
_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """One person's login for one server."""

    server: str
    """Its origin. The token is sent nowhere else."""
    issuer: str
    client_id: str
    scope: str
    ca_file: str
    token_endpoint: str
    workspace: str
    """The workspace where nobody chose one; empty for none."""
    id_token: str = field(repr=False)
    refresh_token: str = field(repr=False)

    @property
    def client(self) -> Client:
        """Who asks the provider."""
        return Client(issuer=self.issuer, client_id=self.client_id, scope=self.scope, ca_file=self.ca_file)

    @property
    def tokens(self) -> TokenSet:
        """What the provider gave."""
        return TokenSet(id_token=self.id_token, refresh_token=self.refresh_token)

    @property
    def person(self) -> str:
        """Who logged in, as the ID token says."""
        claims = unverified_claims(self.id_token)
        return str(claims.get("email") or claims.get("preferred_username") or claims.get("sub") or "somebody")

    @property
    def expires(self) -> float:
        """Seconds since the epoch."""
        found = unverified_claims(self.id_token).get("exp")
        return float(found) if isinstance(found, int | float) else 0.0

    def renewed(self, tokens: TokenSet) -> Login:
        """The same login with other tokens."""
        return replace(self, id_token=tokens.id_token, refresh_token=tokens.refresh_token)


class Logins:
    """The files of logins in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, server: str) -> Login | None:
        """The login for a server's origin, or None.

        Raises :class:`ConfigurationError` for a file that is not safe, or that this release cannot read.
        """
        file = self.file(server)
        try:
            descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigurationError(f"The login {file} cannot be read: {error.strerror}.") from None
        with open(descriptor, "rb") as opened:
            _demand_private(os.fstat(descriptor), file)
            _demand_private(self._directory.stat(), self._directory)
            content = opened.read(_MAX_BYTES)
        try:
            login = Login(**json.loads(content))
        except (ValueError, TypeError, RecursionError):
            login = None
        if (
            login is None
            or login.server != server
            or not all(isinstance(part, str) for part in astuple(login))
        ):
            raise ConfigurationError(
                f"The login {file} is damaged: log in again with `workspace-authz login`."
            )
        return login

    def write(self, login: Login) -> Path:
        """Keep a login; returns its file. Readers see the old one or the new one, never half of it.

        Raises :class:`ConfigurationError`.
        """
        file = self.file(login.server)
        self._make_directory()
        temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(temporary, flags, 0o600), "w", encoding="utf-8") as opened:
                json.dump(asdict(login), opened)
            os.replace(temporary, file)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            raise ConfigurationError(f"The login {file} cannot be written: {error.strerror}.") from error
        return file

    def remove(self, server: str) -> None:
        """Forget the login for a server's origin."""
        self.file(server).unlink(missing_ok=True)

    @contextmanager
    def turn(self, server: str) -> Iterator[None]:
        """One process at a time may renew the login. Raises :class:`ConfigurationError`."""
        file = self.file(server).with_suffix(".lock")
        try:
            self._make_directory()
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(f"{file} cannot be written: {error.strerror}.") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def file(self, server: str) -> Path:
        """Where the login for a server's origin is kept."""
        return self._directory / f"{hashlib.sha256(server.encode()).hexdigest()[:32]}.json"

    def _make_directory(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _demand_private(self._directory.stat(), self._directory)


def token_of(directory: Path, server: str) -> Login | None:
    """The login for a server's origin, renewed if need be; None where there is none.

    Raises :class:`ConfigurationError` where it has ended: log in again.
    """
    logins = Logins(directory)
    login = logins.read(server)
    if login is None or not _due(login):
        return login
    with logins.turn(server):
        login = logins.read(server)  # another process may have renewed it
        if login is None or not _due(login):
            return login
        renewed = _renewed(login)
        if renewed is not login:
            logins.write(renewed)
        return renewed


def _due(login: Login) -> bool:
    return time.time() > login.expires - _RENEW_BEFORE_SECONDS


def _renewed(login: Login) -> Login:
    again = f"log in again with `workspace-authz login --server {login.server}`"
    if not login.refresh_token:
        if time.time() < login.expires:
            return login
        raise ConfigurationError(
            f"The login at {login.issuer} has expired, and it cannot be renewed: {again}."
        )
    try:
        return login.renewed(login.client.refreshed(login.tokens, login.token_endpoint))
    except RefusedError as error:
        raise ConfigurationError(f"The login at {login.issuer} has ended ({error.code}): {again}.") from error
    except ConfigurationError:
        if time.time() < login.expires:  # the provider may be back before it matters
            return login
        raise


def _demand_private(status: os.stat_result, path: Path) -> None:
    if status.st_uid != os.geteuid():
        raise ConfigurationError(
            f"{path} belongs to another user, so it is not used: remove it, and log in again."
        )
    if stat.S_IMODE(status.st_mode) & _OTHERS or not (
        stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
    ):
        raise ConfigurationError(
            f"Other users can read {path}, so it is not used: chmod go= it, or log in again."
        )
