"""Ciphers of page tokens. Apart from the tokens, because the base install has no ``cryptography``."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from workspace_authz.errors import UnavailableError

_NONCE_BYTES: Final = 12


class AesCipher:
    """Implements :class:`~workspace_authz.effects.page_tokens.PageTokenCipher` by AES-GCM.

    Workers with the same ``key`` read each other's tokens. Without a key a random one is used.
    """

    def __init__(self, key: str | None) -> None:
        material = hashlib.sha256(key.encode()).digest() if key else secrets.token_bytes(32)
        self._cipher = AESGCM(material)

    def encrypt(self, text: str, *, bound_to: bytes) -> str:
        """See :class:`~workspace_authz.effects.page_tokens.PageTokenCipher`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, text.encode(), bound_to)
        return base64.urlsafe_b64encode(sealed).decode()

    def decrypt(self, sealed: str, *, bound_to: bytes) -> str | None:
        """See :class:`~workspace_authz.effects.page_tokens.PageTokenCipher`."""
        try:
            content = base64.urlsafe_b64decode(sealed)
            return self._cipher.decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], bound_to).decode()
        except (binascii.Error, ValueError, InvalidTag):
            return None


class SharedKeyCipher:
    """As :class:`AesCipher`, with a key that comes after the start.

    Until :meth:`use` there are no pages: both methods raise :class:`UnavailableError`.
    """

    def __init__(self) -> None:
        self._cipher: AesCipher | None = None

    def use(self, key: str) -> None:
        """Use ``key`` from now on."""
        self._cipher = AesCipher(key)

    def encrypt(self, text: str, *, bound_to: bytes) -> str:
        """See :class:`~workspace_authz.effects.page_tokens.PageTokenCipher`."""
        return self._known().encrypt(text, bound_to=bound_to)

    def decrypt(self, sealed: str, *, bound_to: bytes) -> str | None:
        """See :class:`~workspace_authz.effects.page_tokens.PageTokenCipher`."""
        return self._known().decrypt(sealed, bound_to=bound_to)

    def _known(self) -> AesCipher:
        if self._cipher is None:
            raise UnavailableError(
                "The key for pages has not been read from MLflow's database yet; try again."
            )
        return self._cipher
