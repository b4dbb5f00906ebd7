"""The workspace in a request's URL, ``…/workspaces/<name>/api/…``: for clients that send a URL and a key.

Users write it into ``MLFLOW_TRACKING_URI``, which clients put in front of every path. MLflow gets the path
without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from workspace_authz.workspaces.requested import URL_FORM

_SEGMENT: Final = "/workspaces/"
_BELOW: Final = ("/api/", "/gateway/")
_EXACTLY: Final = "/v1/traces"
"""What a workspace may stand before. The UI's routes are not among them: a browser names it in a header."""

UNENCODED: Final = "/!$&'()*+,;=:@~"
"""What clients leave as it is in a path (RFC 3986, section 3.3), beside letters, digits and ``-._``."""


@dataclass(frozen=True, slots=True)
class UrlWorkspace:
    """A workspace in a URL, and the URL's path without it."""

    name: str
    """As it was sent: not every name is that of a namespace."""
    path: str
    """Decoded, with the static prefix."""
    raw_path: bytes
    """The same, percent-encoded."""


def workspace_in_url(path: str, raw_path: bytes, *, static_prefix: str) -> UrlWorkspace | None:
    """The workspace in a route path, which stands right after ``static_prefix``; None where there is none.

    It is taken out once: a second one is part of the rest, which no route matches. ``raw_path`` is the path
    as it was sent. Up to the slash after the name it must be without percent-encoding, so that a proxy in
    front and this server read the same workspace.
    """
    start = static_prefix + _SEGMENT
    if not path.startswith(start):
        return None
    name, slash, tail = path[len(start) :].partition("/")
    served = slash + tail
    if not name.isascii() or not (served == _EXACTLY or served.startswith(_BELOW)):
        return None
    prefix = quote(static_prefix, safe=UNENCODED).encode("ascii")
    sent = prefix + f"{_SEGMENT}{name}".encode("ascii")
    if not name or not raw_path.startswith(sent + b"/"):
        return None
    return UrlWorkspace(name, static_prefix + served, prefix + raw_path[len(sent) :])


def hint(path: str, *, static_prefix: str) -> str:
    """What to say about a path that no route matches, if it begins as one with a workspace; else empty."""
    if not path.startswith(static_prefix + _SEGMENT):
        return ""
    return (
        f" A workspace stands in a URL as {URL_FORM}: once, without percent-encoding, and before /api/, "
        f"{_EXACTLY} or /gateway/ only; routes that are open to everybody have none."
    )
