"""The cookies of sessions: how they are named, set and read.

Prefixes of names are those of RFC 6265bis, section 4.1.3: a browser accepts ``__Host-`` and ``__Secure-``
over TLS only, so that nobody can set them over plain HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

COOKIE: Final = b"cookie"
_MARK: Final = b"workspace-authz-"
"""A part of the names of all our cookies."""
MOST_COOKIE_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Cookies:
    """The cookies of one server. ``path`` is the static prefix, or ``/``."""

    secure: bool
    """Whether browsers reach the server over TLS."""
    path: str = "/"

    def name(self, purpose: str) -> str:
        """The name of the cookie for ``purpose``."""
        prefix = "" if not self.secure else "__Host-" if self.path == "/" else "__Secure-"
        return f"{prefix}{_MARK.decode()}{purpose}"

    def set(self, purpose: str, value: bytes, *, seconds: int | None = None) -> tuple[bytes, bytes]:
        """The header that sets a cookie, for ``seconds`` or until the browser is closed."""
        age = "" if seconds is None else f"; Max-Age={seconds}"
        secure = "; Secure" if self.secure else ""
        attributes = f"; Path={self.path}; HttpOnly; SameSite=Lax{secure}{age}"
        return b"set-cookie", f"{self.name(purpose)}={value.decode('ascii')}{attributes}".encode()

    def delete(self, purpose: str) -> tuple[bytes, bytes]:
        """The header that deletes a cookie."""
        return self.set(purpose, b"", seconds=0)

    def find(self, headers: Iterable[tuple[bytes, bytes]], purpose: str) -> Sequence[bytes]:
        """The values of the cookie that a request presents: none, one, or several that were forged."""
        name = self.name(purpose).encode()
        pairs = (pair.partition(b"=") for value in _cookies(headers) for pair in value.split(b";"))
        values = (value.strip() for found, _, value in pairs if found.strip() == name)
        return list(dict.fromkeys(value for value in values if 0 < len(value) <= MOST_COOKIE_BYTES))


def without_ours(value: bytes) -> bytes:
    """The value of a ``Cookie`` header without our cookies; empty when there were no others."""
    if _MARK not in value:
        return value
    others = (pair.strip() for pair in value.split(b";") if _MARK not in pair.partition(b"=")[0])
    return b"; ".join(filter(None, others))


def _cookies(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[bytes]:
    return (value for name, value in headers if name == COOKIE)
