"""Proof that a request with a cookie was made by a page of this server, and by none of another site.

A browser sends cookies whoever makes the request. ``Sec-Fetch-Site`` (W3C Fetch Metadata) says who did, and
so does ``Origin`` (RFC 6454) where it is missing: over plain HTTP, and in old browsers. No page can set
either.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from workspace_authz.errors import ForbiddenError

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_SITE: Final = b"sec-fetch-site"
_MODE: Final = b"sec-fetch-mode"
_ORIGIN: Final = b"origin"

_REFUSED: Final = (
    "This request came with the cookie of a session, but not from a page of this server. Scripts and "
    "other programs send a token instead."
)


def demand_same_origin(
    method: str, headers: Iterable[tuple[bytes, bytes]], *, origins: Collection[str]
) -> None:
    """Check that a page of one of ``origins`` made the request.

    A request that only reads may also come from the address bar, a link or a bookmark. Raises
    :class:`ForbiddenError`.
    """
    found: dict[bytes, list[bytes]] = {_SITE: [], _MODE: [], _ORIGIN: []}
    for name, value in headers:
        if name in found:
            found[name].append(value)
    if any(len(values) > 1 for values in found.values()):
        raise ForbiddenError(_REFUSED)
    site, mode, origin = (next(iter(values), b"") for values in found.values())
    if method in _SAFE:
        if site in (b"", b"same-origin", b"none") or mode == b"navigate":
            return
    elif site == b"same-origin" or (not site and origin.decode("latin-1") in origins):
        return
    raise ForbiddenError(_REFUSED)
