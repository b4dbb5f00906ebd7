"""The seal of page tokens: AES-GCM, so that a token is neither readable nor changeable."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES: Final = 12


class AesSeal:
    """Implements :class:`workspace_authz.enforcement.paging.Seal`.

    Workers with the same ``key`` open each other's tokens; without one it is random.
    """

    def __init__(self, key: str | None) -> None:
        material = hashlib.sha256(key.encode()).digest() if key else secrets.token_bytes(32)
        self._cipher = AESGCM(material)

    def close(self, text: str, *, bound_to: bytes) -> str:
        """See :class:`Seal`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, text.encode(), bound_to)
        return base64.urlsafe_b64encode(sealed).decode()

    def open(self, sealed: str, *, bound_to: bytes) -> str | None:
        """See :class:`Seal`."""
        try:
            content = base64.urlsafe_b64decode(sealed)
            return self._cipher.decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], bound_to).decode()
        except (binascii.Error, ValueError, InvalidTag):
            return None
