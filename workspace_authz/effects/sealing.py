"""The seal of page tokens: AES-GCM, so that a token is neither readable nor changeable."""

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
_NO_KEY_YET: Final = "The key for pages has not been read from MLflow's database yet; try again."


class AesSeal:
    """Implements :class:`workspace_authz.effects.page_tokens.Seal`.

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


class SharedSeal:
    """A seal whose key comes from elsewhere, after the start: until :meth:`use` there are no pages.

    Raises :class:`UnavailableError` until then.
    """

    def __init__(self) -> None:
        self._seal: AesSeal | None = None

    def use(self, key: str) -> None:
        """From now on, ``key``."""
        self._seal = AesSeal(key)

    def close(self, text: str, *, bound_to: bytes) -> str:
        """See :class:`Seal`."""
        return self._known().close(text, bound_to=bound_to)

    def open(self, sealed: str, *, bound_to: bytes) -> str | None:
        """See :class:`Seal`."""
        return self._known().open(sealed, bound_to=bound_to)

    def _known(self) -> AesSeal:
        if self._seal is None:
            raise UnavailableError(
                "The key for pages has not been read from MLflow's database yet; try again."
            )
        return self._seal
