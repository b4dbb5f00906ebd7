"""Secrets in a file, one to a line. The file is read again, so that they can be rotated while in use."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from workspace_authz.errors import ConfigurationError

_log = logging.getLogger(__name__)

_OF_PROXIES: Final = "WORKSPACE_AUTHZ_PROXY_SECRET_FILE"
REREAD_SECONDS: Final = 1.0
SHORTEST: Final = 32
"""Characters: 128 random bits in hexadecimal."""
_MOST_BYTES: Final = 64 * 2**10


class SecretFile:
    """The secrets in ``path``. Only digests of them are kept. ``variable`` names the file in messages.

    ``monotonic`` tells when to read the file again: at most every :data:`REREAD_SECONDS`, when somebody asks.
    A file that cannot be used then leaves the last good secrets in force, and the log says so.

    Raises :class:`ConfigurationError` where the file cannot be used at first.
    """

    def __init__(self, path: Path, *, monotonic: Callable[[], float], variable: str = _OF_PROXIES) -> None:
        self._path = path
        self._variable = variable
        self._monotonic = monotonic
        self._digests = read_secrets(path, variable=variable)
        self._next_read = monotonic() + REREAD_SECONDS
        self._failed = False

    async def holds(self, secret: bytes) -> bool:
        """Whether ``secret`` is one of them. Takes the same time for each wrong one."""
        if self._monotonic() >= self._next_read:
            self._next_read = self._monotonic() + REREAD_SECONDS
            await self._read_again()
        digest = _digest(secret)
        return any(hmac.compare_digest(digest, each) for each in self._digests)

    async def _read_again(self) -> None:
        try:
            self._digests = await asyncio.to_thread(read_secrets, self._path, variable=self._variable)
            self._failed = False
        except ConfigurationError as error:
            if not self._failed:
                _log.warning("%s The secrets of before stay in force.", error)
            self._failed = True


def read_secrets(path: Path, *, variable: str = _OF_PROXIES) -> Sequence[bytes]:
    """Digests of the secrets in the file. Blocks. Raises :class:`ConfigurationError`."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES)
    except OSError as error:
        raise ConfigurationError(
            f"{variable} cannot be read: {error.strerror or type(error).__name__}."
        ) from error
    secrets = [line.strip() for line in content.splitlines() if line.strip()]
    if not secrets or any(len(secret) < SHORTEST for secret in secrets):
        raise ConfigurationError(
            f"{variable} must hold secrets of {SHORTEST} characters or more, one to a "
            "line: write the output of `openssl rand -hex 32` into it."
        )
    return tuple(map(_digest, secrets))


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
