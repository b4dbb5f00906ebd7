"""The credential of this process itself: the server's own, or that of who runs the command line."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeAlias
from urllib.parse import quote

from workspace_authz.errors import ConfigurationError

_REREAD_SECONDS: Final = 60.0
"""As client-go; the kubelet replaces a token after 80 % of its lifetime, at least ten minutes."""
_HEADER_CHARACTERS: Final = "!#$&'*+^`|"
"""Beside letters, digits and ``_.-~``: what RFC 9110 allows in a header's name. ``%`` escapes all others."""


class CredentialError(ConfigurationError):
    """The process's own credential cannot be had at the moment. The message says why and quotes no secret."""


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A client certificate and its private key, both as PEM."""

    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)

    def load_into(self, context: ssl.SSLContext) -> None:
        """Show it on the connections of ``context``. Blocks. Raises :class:`CredentialError`."""
        try:
            # Python's ``ssl`` takes files only. These are for this user alone and gone at the end.
            with tempfile.TemporaryDirectory(prefix="workspace-authz-") as folder:
                files = Path(folder, "tls.crt"), Path(folder, "tls.key")
                for file, content in zip(files, (self.certificate, self.key), strict=True):
                    file.write_bytes(content)
                # An encrypted key is refused; without a password, OpenSSL would ask the terminal for one.
                context.load_cert_chain(files[0], keyfile=files[1], password="")
        except (OSError, ValueError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or type(error).__name__
            raise CredentialError(
                f"The client certificates of the Kubernetes configuration cannot be used: {reason}."
            ) from None

    def check(self) -> None:
        """Raise :class:`CredentialError` where it cannot be used. Blocks."""
        self.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


@dataclass(frozen=True, slots=True)
class ClientAuth:
    """What a request to the API server shows of who asks. Both may be missing: then it is anonymous."""

    token: str = field(default="", repr=False)
    certificate: ClientCertificate | None = field(default=None, repr=False)


class OwnCredential(Protocol):
    """Where the process's own credential comes from. Used inside one event loop."""

    async def current(self) -> ClientAuth:
        """What is valid now. Raises :class:`CredentialError`."""

    async def renewed(self, rejected: ClientAuth) -> ClientAuth:
        """What to show after the API server answered 401 to ``rejected``; the same where there is nothing
        else. Raises :class:`CredentialError`."""


Pem: TypeAlias = bytes | Path
"""PEM itself, or the file that holds it."""


class FileCredential:
    """A token and a client certificate that are given, or that are in files.

    Files are read again every minute, and after a 401. What cannot be read then leaves everything as it was.
    The last good content of ``token_file`` comes before ``token``, as in client-go.
    """

    def __init__(
        self,
        token: str = "",
        *,
        token_file: Path | None = None,
        certificate: tuple[Pem, Pem] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._token = token
        self._token_file = token_file
        self._certificate = certificate
        self._monotonic = monotonic
        parts = (token_file, *(certificate or ()))
        self._has_files = any(isinstance(part, Path) for part in parts)
        self._blocks = self._has_files or certificate is not None
        self._auth: ClientAuth | None = None
        self._next_read = 0.0

    async def current(self) -> ClientAuth:
        """See :class:`OwnCredential`."""
        if self._auth is None:
            self._auth = await self._read_now()
        elif self._has_files and self._monotonic() >= self._next_read:
            await self._read_again()
        return self._auth

    async def renewed(self, rejected: ClientAuth) -> ClientAuth:
        """See :class:`OwnCredential`."""
        if self._has_files and self._auth == rejected:
            await self._read_again()
        return await self.current()

    async def _read_again(self) -> None:
        try:
            self._auth = await self._read_now()
        except CredentialError:
            return

    async def _read_now(self) -> ClientAuth:
        self._next_read = self._monotonic() + _REREAD_SECONDS
        return await asyncio.to_thread(self._read) if self._blocks else self._read()

    def _read(self) -> ClientAuth:
        try:
            certificate = None
            if self._certificate is not None:
                certificate = ClientCertificate(*map(_pem, self._certificate))
                certificate.check()
            return ClientAuth(self._read_token(), certificate)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            where = f": {error.filename}" if error.filename else ""
            raise CredentialError(
                f"The credential of the Kubernetes configuration cannot be used: {reason}{where}."
            ) from None

    def _read_token(self) -> str:
        if self._token_file is None:
            return checked_token(self._token)
        try:
            if token := self._token_file.read_text(encoding="ascii").strip():
                return checked_token(token)
            raise ValueError("empty")
        except (OSError, ValueError, CredentialError):
            if self._token and self._auth is None:
                return checked_token(self._token)
            raise CredentialError(
                f"The token file of the Kubernetes configuration cannot be used: {self._token_file}."
            ) from None


def checked_token(token: str) -> str:
    """``token``, if it can be sent in a header; empty means none. Raises :class:`CredentialError`."""
    if not token.isascii() or not token.isprintable() or " " in token:
        raise CredentialError("The token of the Kubernetes configuration has characters that no token has.")
    return token


def _pem(part: Pem) -> bytes:
    return part if isinstance(part, bytes) else part.read_bytes()


@dataclass(frozen=True, slots=True)
class Impersonation:
    """As whom the owner of the credential wants to act.

    See https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
    """

    user: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __post_init__(self) -> None:
        if not self.user:
            raise ConfigurationError("Groups, a UID or extra fields can only be impersonated with a user.")
        if not all(value.isprintable() and value for _, value in self.headers()):
            raise ConfigurationError("The user to be impersonated has characters that cannot be sent.")

    def headers(self) -> Iterator[tuple[str, str]]:
        """The headers that say so; some names come more than once."""
        yield "Impersonate-User", self.user
        for group in self.groups:
            yield "Impersonate-Group", group
        if self.uid:
            yield "Impersonate-Uid", self.uid
        for key, values in self.extra:
            for value in values:
                yield f"Impersonate-Extra-{quote(key, safe=_HEADER_CHARACTERS)}", value
