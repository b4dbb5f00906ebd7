"""What a browser gets instead of a bare refusal, and MLflow's page with our script in it.

A browser shows a prompt of its own for ``WWW-Authenticate: Basic``, for each request of a page anew. So it is
challenged only by the page itself, and by what MLflow's Logout asks, which makes it forget its credentials.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from workspace_authz.aio.asgi import App, Message, Receive, Scope, Send
from workspace_authz.doors.asgi.protocol import peer_of, route_path
from workspace_authz.doors.browser.assets import Assets
from workspace_authz.doors.browser.page import asking_for_page, tagged_page
from workspace_authz.doors.browser.refusals import as_graphql, as_page, shown_refusal
from workspace_authz.doors.browser.requests import from_browser, navigates
from workspace_authz.doors.pages import refusal_page
from workspace_authz.doors.sign_in.pages import redirection
from workspace_authz.doors.sign_in.paths import SignInPaths
from workspace_authz.errors import RequestError, UnauthenticatedError
from workspace_authz.identity.authenticator import Presented
from workspace_authz.runtime.runtime import Runtime

_LOGOUT: Final = "/ajax-api/2.0/mlflow/users/current"


class BrowserMiddleware:
    """Serves people in a browser. Programs get what they always got.

    ``signs_in``: whether there is a page of signing in, to which browsers without a session are led.
    """

    def __init__(
        self,
        app: App,
        *,
        static_prefix: str,
        signs_in: bool,
        assistant: bool,
        runtime: Callable[[], Runtime],
    ) -> None:
        self._app = app
        self._runtime = runtime
        self._signs_in = signs_in
        self._prefix = prefix = static_prefix.rstrip("/")
        self._paths = SignInPaths(prefix)
        self._assets = Assets(static_prefix=prefix, assistant=assistant)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head, path = scope["method"] == "HEAD", route_path(scope)
        reads = head or scope["method"] == "GET"
        asset = self._assets.answer(path) if reads else None
        if asset is not None:
            await asset.send(send, head=head)
        elif reads and path == self._paths.home:
            await self._serve_page(scope, receive, send)
        elif from_browser(scope):
            await self._app(scope, receive, self._answering(scope, path, send))
        else:
            await self._app(scope, receive, send)

    async def _serve_page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """MLflow's page, which is public, with our tags. Browsers get it once they are signed in."""
        head = scope["method"] == "HEAD"
        refusal = await self._refusal(scope) if navigates(scope) else None
        if refusal is None:
            page = tagged_page(send, tags=self._assets.tags, head=head)
            await self._app(asking_for_page(scope), receive, page)
        elif self._signs_in:
            await redirection(self._sign_in(scope)).send(send, head=head)
        else:
            await refusal_page(self._prefix, refusal).send(send, head=head)

    async def _refusal(self, scope: Scope) -> UnauthenticatedError | None:
        """Why nobody is signed in; None where somebody is, or where that cannot be known now."""
        presented = Presented(scope["headers"], peer=peer_of(scope))
        try:
            await self._runtime().pipeline.identity.authenticate(presented, unverified=lambda _: None)
        except UnauthenticatedError as refusal:
            return refusal
        except RequestError:
            return None  # whoever it is: the page holds nothing of anybody's
        return None

    def _answering(self, scope: Scope, path: str, send: Send) -> Send:
        """A ``send`` for the answer to a browser."""
        if navigates(scope):
            shown = shown_refusal(send, show=partial(as_page, static_prefix=self._prefix))
            return partial(self._lead, scope, shown) if self._signs_in else shown
        if path == f"{self._prefix}/graphql":
            send = shown_refusal(send, show=as_graphql)
        is_challenged = path == self._prefix + _LOGOUT and not self._signs_in
        return send if is_challenged else partial(_send_unchallenged, send)

    async def _lead(self, scope: Scope, send: Send, message: Message) -> None:
        """Send one message; a 401 leads to the page of signing in."""
        if not _is_401(message):
            await send(message)
            return
        headers = [*_unchallenged(message), (b"location", self._sign_in(scope).encode())]
        await send({**message, "status": 303, "headers": headers})

    def _sign_in(self, scope: Scope) -> str:
        query = scope["query_string"].decode("latin-1")
        raw = (scope.get("raw_path") or b"").decode("latin-1")
        return self._paths.page_for(f"{raw}?{query}" if query else raw)


async def _send_unchallenged(send: Send, message: Message) -> None:
    await send({**message, "headers": _unchallenged(message)} if _is_401(message) else message)


def _is_401(message: Message) -> bool:
    is_start: bool = message["type"] == "http.response.start"
    return is_start and message["status"] == 401


def _unchallenged(start: Message) -> Sequence[tuple[bytes, bytes]]:
    return [(name, value) for name, value in start["headers"] if name.lower() != b"www-authenticate"]
