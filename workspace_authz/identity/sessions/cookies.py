"""The cookies of sessions: how they are named, set and read.

Prefixes of names are those of RFC 6265bis, section 4.1.3: a browser accepts ``__Host-`` and ``__Secure-``
over TLS only, so that nobody can set them over plain HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

COOKIE: Final = b"cookie"
_MARK: Final = b"workspace-authz-"
"""A part of the names of all our cookies."""
MOST_COOKIE_BYTES: Final = 4096
MARK: Final = "mlflow_user"
"""A cookie that MLflow's own Logout deletes (3.16 to 3.18). It holds nothing."""


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

    def mark(self) -> tuple[bytes, bytes]:
        """The header that marks a browser as signed in. Scripts may read and delete the mark."""
        secure = "; Secure" if self.secure else ""
        return b"set-cookie", f"{MARK}=signed-in; Path={self.path}; SameSite=Lax{secure}".encode()

    def unmark(self) -> tuple[bytes, bytes]:
        """The header that deletes the mark."""
        name, value = self.mark()
        return name, value + b"; Max-Age=0"

    def find(self, headers: Iterable[tuple[bytes, bytes]], purpose: str) -> Sequence[bytes]:
        """The values of the cookie that a request presents: none, one, or several that were forged."""
        values = _values(headers, self.name(purpose).encode())
        return list(dict.fromkeys(value for value in values if 0 < len(value) <= MOST_COOKIE_BYTES))


def is_marked(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request comes from a browser that is marked as signed in."""
    return any(_values(headers, MARK.encode()))


def without_sessions(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """The headers without our cookies."""
    for name, value in headers:
        if name != COOKIE:
            yield name, value
        elif others := without_ours(value):
            yield name, others


def without_ours(value: bytes) -> bytes:
    """The value of a ``Cookie`` header without our cookies; empty when there were no others."""
    if _MARK not in value:
        return value
    others = (pair.strip() for pair in value.split(b";") if _MARK not in pair.partition(b"=")[0])
    return b"; ".join(filter(None, others))


def _values(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> Iterator[bytes]:
    for header, cookies in headers:
        if header == COOKIE:
            pairs = (pair.partition(b"=") for pair in cookies.split(b";"))
            yield from (value.strip() for name, _, value in pairs if name.strip() == wanted)
