"""What a browser gets instead of a bare 401: the page of signing in, and no prompt for a password.

A browser shows its own prompt for ``WWW-Authenticate: Basic``, for each request of a page anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from workspace_authz.aio.asgi import App, Message, Receive, Scope, Send
from workspace_authz.doors.asgi.protocol import peer_of, route_path
from workspace_authz.doors.own_routes import OwnAnswer
from workspace_authz.doors.sign_in.pages import redirection
from workspace_authz.doors.sign_in.paths import SignInPaths
from workspace_authz.errors import RequestError, UnauthenticatedError
from workspace_authz.identity.authenticator import Presented
from workspace_authz.runtime.runtime import Runtime

_MOST_PAGE_BYTES: Final = 2**20
_CONDITIONS: Final = frozenset(
    {b"if-none-match", b"if-modified-since", b"if-range", b"range", b"accept-encoding"}
)
"""What would make MLflow answer with less than its page."""
_VALIDATORS: Final = frozenset(
    {b"etag", b"last-modified", b"cache-control", b"content-length", b"accept-ranges"}
)

_SCRIPT: Final = b"""(() => {
  // A 401 means that the session has ended: the page leads to the sign-in, and back to this place.
  const key = "workspace-authz-signed-out";
  const ended = (url) => {
    if (new URL(url, location.href).origin !== location.origin) return;
    if (Date.now() - Number(sessionStorage.getItem(key) || 0) < 10000) return;
    sessionStorage.setItem(key, Date.now());
    location.reload();
  };
  const fetchOf = window.fetch;
  window.fetch = async (...asked) => {
    const answer = await fetchOf.apply(window, asked);
    if (answer.status === 401) ended(answer.url);
    return answer;
  };
  const send = XMLHttpRequest.prototype.send;
  XMLHttpRequest.prototype.send = function (...body) {
    this.addEventListener("load", () => { if (this.status === 401) ended(this.responseURL); });
    return send.apply(this, body);
  };
})();
"""


class BrowserMiddleware:
    """Leads browsers without a session to the page of signing in. Programs get what they always got."""

    def __init__(self, app: App, *, static_prefix: str, runtime: Callable[[], Runtime]) -> None:
        self._app = app
        self._runtime = runtime
        self._paths = paths = SignInPaths(static_prefix.rstrip("/"))
        self._tag = f'<script src="{paths.script}"></script></head>'.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head, path = scope["method"] == "HEAD", route_path(scope)
        reads = head or scope["method"] == "GET"
        if reads and path == self._paths.script:
            await OwnAnswer(_SCRIPT, "text/javascript; charset=utf-8").send(send, head=head)
        elif reads and path == self._paths.home:
            await self._serve_page(scope, receive, send)
        elif _from_browser(scope):
            await self._app(scope, receive, partial(self._answer, scope, send))
        else:
            await self._app(scope, receive, send)

    async def _serve_page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """MLflow's page, which is public, for who has signed in; with our script."""
        if _navigates(scope) and not await self._is_signed_in(scope):
            await redirection(self._sign_in(scope)).send(send, head=scope["method"] == "HEAD")
            return
        headers = [(name, value) for name, value in scope["headers"] if name not in _CONDITIONS]
        page = _Page(send, tag=self._tag) if scope["method"] == "GET" else send
        await self._app({**scope, "headers": headers}, receive, page)

    async def _is_signed_in(self, scope: Scope) -> bool:
        presented = Presented(scope["headers"], peer=peer_of(scope))
        try:
            await self._runtime().pipeline.identity.authenticate(presented, unverified=lambda _: None)
        except UnauthenticatedError:
            return False
        except RequestError:
            return True  # whoever it is: the page holds nothing of anybody's
        return True

    async def _answer(self, scope: Scope, send: Send, message: Message) -> None:
        if message["type"] != "http.response.start" or message["status"] != 401:
            await send(message)
            return
        headers = [(name, value) for name, value in message["headers"] if name.lower() != b"www-authenticate"]
        if not _navigates(scope):
            await send({**message, "headers": headers})
            return
        location = (b"location", self._sign_in(scope).encode())
        await send({**message, "status": 303, "headers": [*headers, location]})

    def _sign_in(self, scope: Scope) -> str:
        query = scope["query_string"].decode("latin-1")
        raw = (scope.get("raw_path") or b"").decode("latin-1")
        return self._paths.page_for(f"{raw}?{query}" if query else raw)


class _Page:
    """A ``send`` that puts a tag at the end of the head of a page. What is no page goes on as it is."""

    def __init__(self, send: Send, *, tag: bytes) -> None:
        self._send = send
        self._tag = tag
        self._start: Message | None = None
        self._content = bytearray()

    async def __call__(self, message: Message) -> None:
        """Send one message."""
        if message["type"] == "http.response.start" and _is_page(message):
            self._start = message
        elif self._start is None or message["type"] != "http.response.body":
            await self._send(message)
        else:
            await self._add(self._start, message)

    async def _add(self, start: Message, message: Message) -> None:
        self._content += message.get("body", b"")
        more = message.get("more_body", False)
        if more and len(self._content) <= _MOST_PAGE_BYTES:
            return
        content = bytes(self._content).replace(b"</head>", self._tag, 1)
        headers = [(name, value) for name, value in start["headers"] if name.lower() not in _VALIDATORS]
        headers.append((b"cache-control", b"no-store"))
        if not more:
            headers.append((b"content-length", str(len(content)).encode()))
        self._start = None
        await self._send({**start, "headers": headers})
        await self._send({**message, "body": content})


def _is_page(start: Message) -> bool:
    kinds = [value for name, value in start["headers"] if name.lower() == b"content-type"]
    return start["status"] == 200 and any(kind.startswith(b"text/html") for kind in kinds)


def _values(scope: Scope, wanted: bytes) -> Sequence[bytes]:
    return [value for name, value in scope["headers"] if name == wanted]


def _from_browser(scope: Scope) -> bool:
    """Whether a browser asks. Over plain HTTP it sends no ``Sec-Fetch-Mode``, except to its own machine."""
    agents = _values(scope, b"user-agent")
    return bool(_values(scope, b"sec-fetch-mode")) or any(agent.startswith(b"Mozilla/") for agent in agents)


def _navigates(scope: Scope) -> bool:
    """Whether the answer will be shown as a page of its own."""
    if scope["method"] != "GET" or not _from_browser(scope):
        return False
    modes, accepted = _values(scope, b"sec-fetch-mode"), _values(scope, b"accept")
    if modes:
        return modes == [b"navigate"] and _values(scope, b"sec-fetch-dest") in ([], [b"document"])
    return any(value.startswith(b"text/html") for value in accepted)
