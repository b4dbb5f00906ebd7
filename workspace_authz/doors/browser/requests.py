"""Whether a browser asks, and whether it will show the answer as a page."""

from __future__ import annotations

from collections.abc import Sequence

from workspace_authz.aio.asgi import Scope


def header(scope: Scope, wanted: bytes) -> Sequence[bytes]:
    """The values of a header, by its name in lower case."""
    return [value for name, value in scope["headers"] if name == wanted]


def from_browser(scope: Scope) -> bool:
    """Whether a browser asks. Over plain HTTP it sends no ``Sec-Fetch-Mode``, except to its own machine."""
    agents = header(scope, b"user-agent")
    return bool(header(scope, b"sec-fetch-mode")) or any(agent.startswith(b"Mozilla/") for agent in agents)


def navigates(scope: Scope) -> bool:
    """Whether the answer will be shown as a page of its own."""
    if scope["method"] != "GET" or not from_browser(scope):
        return False
    modes, accepted = header(scope, b"sec-fetch-mode"), header(scope, b"accept")
    if modes:
        return modes == [b"navigate"] and header(scope, b"sec-fetch-dest") in ([], [b"document"])
    return any(value.startswith(b"text/html") for value in accepted)
