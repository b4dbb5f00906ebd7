"""The request-target that MLflow gets, as long as no proxy could make another one of it.

The proxies differ (nginx 1.22, Envoy 1.40, Traefik 3.6): Traefik and Envoy resolve dot segments, doubled
slashes and letters that need no encoding, nginx chooses the location by the resolved path and passes the path
on as it came, Envoy reads a backslash as a slash, Traefik turns the semicolon of a query into an ampersand,
and a framework may split a path at an encoded slash. What all of them pass on as it is, is judged. The rest
is refused, whoever asks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from workspace_authz.errors import BadRequestError

_PATH: Final = re.compile(rb"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
"""RFC 3986, section 3.3, ``path-absolute``."""
_QUERY: Final = re.compile(rb"(?:[!$&'()*+,./0-9:=?@A-Z\[\]\\^_`a-z{|}~-]|%[0-9A-Fa-f]{2})*")
"""RFC 3986, section 3.4, and what browsers leave as it is (URL Standard, query percent-encode set). No
semicolon, and no percent sign by itself."""
_ENCODED: Final = re.compile(rb"%(?:[01][0-9a-f]|7f|2f|5c)", re.IGNORECASE)
"""Control characters, the slash and the backslash."""
_DOTS: Final = frozenset({".", ".."})


@dataclass(frozen=True, slots=True)
class Target:
    """One request-target, taken apart."""

    path: str
    """Decoded, as ASGI has it."""
    raw_path: bytes
    query: bytes

    @classmethod
    def read(cls, sent: bytes) -> Target:
        """What ``sent`` means to MLflow. Raises :class:`BadRequestError` where a proxy may change it."""
        raw_path, _, query = sent.partition(b"?")
        if not _PATH.fullmatch(raw_path):
            raise _ambiguous("its path holds characters that are not percent-encoded")
        if b"//" in raw_path:
            raise _ambiguous("its path has an empty segment")
        if _ENCODED.search(raw_path):
            raise _ambiguous("its path holds an encoded slash, backslash or control character")
        try:
            path = unquote(raw_path.decode("ascii"), errors="strict")
        except UnicodeDecodeError:
            raise _ambiguous("its path is not UTF-8") from None
        if not _DOTS.isdisjoint(path.split("/")):
            raise _ambiguous("its path has a dot segment")
        if not _QUERY.fullmatch(query):
            raise _ambiguous("its query holds a semicolon or another character that is not percent-encoded")
        return cls(path, raw_path, query)


def _ambiguous(why: str) -> BadRequestError:
    return BadRequestError(f"This request is refused: {why}, which proxies and MLflow may read differently.")
