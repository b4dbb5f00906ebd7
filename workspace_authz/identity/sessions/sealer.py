"""Sealed values: encrypted and authenticated, so that only this server reads and makes them.

They are JWEs in the compact form (RFC 7516) with ``dir`` and ``A256GCM``.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from workspace_authz.aio.clock import Clock
from workspace_authz.errors import ConfigurationError

KEY_BYTES: Final = 32
MOST_SEALED_BYTES: Final = 2**20
"""Of a value that is sealed. A token may have 32 KiB, and a user ten thousand groups."""
_REREAD_SECONDS: Final = 10.0
_ALGORITHMS: Final = ("dir", "A256GCM")


class _Registry(jwe.JWERegistry):
    max_ciphertext_length = MOST_SEALED_BYTES * 2


_REGISTRY: Final = _Registry(algorithms=_ALGORITHMS)


class SealError(Exception):
    """A value was not sealed with a key of this server, or for another purpose."""


@dataclass(frozen=True, slots=True)
class _Key:
    id: str
    secret: OctKey = field(repr=False)


class SessionKeys:
    """The keys in a file: one in each line, 32 bytes in base64. The first seals, the others still open.

    While :meth:`follow` runs, the file is read again and again, so that keys rotate without a restart. Raises
    :class:`ConfigurationError` when it cannot be used at the start; later a file that cannot be used leaves
    the keys as they were.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._keys = _read(file)

    def __call__(self) -> Sequence[_Key]:
        """The keys."""
        return self._keys

    async def follow(self, clock: Clock) -> None:
        """Read the file every ten seconds, in a thread, until cancelled."""
        while True:
            await clock.sleep(_REREAD_SECONDS)
            with suppress(ConfigurationError):
                self._keys = await asyncio.to_thread(_read, self._file)


class Sealer:
    """Seals and opens values with ``keys``."""

    def __init__(self, keys: SessionKeys) -> None:
        self._keys = keys

    def seal(self, content: bytes, *, purpose: str) -> bytes:
        """``content``, sealed. It opens for the same ``purpose`` only. Raises :class:`SealError` when it is
        longer than :data:`MOST_SEALED_BYTES`."""
        if len(content) > MOST_SEALED_BYTES:
            raise SealError(f"there are {len(content)} bytes to be sealed")
        key = self._keys()[0]
        header = {"alg": "dir", "enc": "A256GCM", "kid": key.id, "typ": purpose}
        return jwe.encrypt_compact(header, content, key.secret, registry=_REGISTRY).encode("ascii")

    def open(self, sealed: bytes, *, purpose: str) -> bytes:
        """What was sealed. Raises :class:`SealError`."""
        for key in self._keys():
            try:
                opened = jwe.decrypt_compact(sealed, key.secret, registry=_REGISTRY)
            except (JoseError, ValueError):
                continue
            if opened.protected.get("typ") == purpose and opened.plaintext is not None:
                return opened.plaintext
        raise SealError("this was not sealed here")


def _read(file: Path) -> Sequence[_Key]:
    try:
        lines = file.read_text("ascii").split()
        secrets = [base64.b64decode(line, validate=True) for line in lines]
    except (OSError, ValueError, binascii.Error) as error:
        reason = (isinstance(error, OSError) and error.strerror) or "it is not base64"
        raise ConfigurationError(_unusable(file, reason)) from None
    if not secrets or any(len(secret) != KEY_BYTES for secret in secrets):
        raise ConfigurationError(_unusable(file, f"it must hold keys of {KEY_BYTES} bytes"))
    return tuple(
        _Key(hashlib.sha256(secret).hexdigest()[:8], OctKey.import_key(secret)) for secret in secrets
    )


def _unusable(file: Path, reason: str) -> str:
    return (
        f"The session keys in {file} cannot be used: {reason}. Make the file with "
        "`head -c 32 /dev/urandom | base64`, one key in a line; the first one seals."
    )
