"""MLflow's own Logout ends a session.

MLflow's UI deletes the cookie that marks the browser as signed in, asks for something with made-up Basic
credentials, which a browser sends only where it is challenged for them, and opens its page anew (3.17.2).
So a browser that presents a session without the mark has signed out, in whichever tab: it is nobody from then
on. The page that it opens next ends the session, and leads to the provider, where it signs out as well. What
a script asks ends nothing: MLflow's asks several things at once while it logs out, and only the page can be
led somewhere. Programs have no mark, and need none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from workspace_authz.aio.asgi import App, Message, Receive, Scope, Send
from workspace_authz.doors.asgi.protocol import refuse
from workspace_authz.doors.browser.requests import from_browser, navigates
from workspace_authz.doors.public_urls import PublicUrl, origin_of
from workspace_authz.doors.sign_in.pages import redirection
from workspace_authz.doors.sign_in.paths import SignInPaths
from workspace_authz.errors import RequestError
from workspace_authz.identity.sessions.authenticator import SESSION
from workspace_authz.identity.sessions.cookies import is_marked, without_sessions
from workspace_authz.runtime.runtime import Runtime
from workspace_authz.runtime.sign_in import BrowserSessions


class LogoutMiddleware:
    """Ends sessions without a mark. What asks with one is somebody who is not signed in."""

    def __init__(
        self,
        app: App,
        *,
        static_prefix: str,
        urls: tuple[PublicUrl, ...],
        runtime: Callable[[], Runtime],
    ) -> None:
        self._app = app
        self._urls = urls
        self._runtime = runtime
        self._paths = SignInPaths(static_prefix.rstrip("/"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http" or not from_browser(scope):
            await self._app(scope, receive, send)
            return
        try:
            browser = self._runtime().browser
            if browser is not None and not is_marked(scope["headers"]):
                sessions = browser.cookies.find(scope["headers"], SESSION)
                if sessions:
                    await self._unmarked(browser, sessions, scope=scope, receive=receive, send=send)
                    return
        except RequestError as error:
            await refuse(error, send, head=scope["method"] == "HEAD")
            return
        await self._app(scope, receive, send)

    async def _unmarked(
        self,
        browser: BrowserSessions,
        sessions: Sequence[bytes],
        *,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Answer as to nobody; a page ends the sessions first. Raises ``UnavailableError``."""
        inner = {**scope, "headers": list(without_sessions(scope["headers"]))}
        if not navigates(scope):
            await self._app(inner, receive, send)
            return
        page = origin_of(scope, self._urls) + self._paths.page
        url = await browser.sign_in.end(sessions, back_to=page)
        gone = browser.cookies.delete(SESSION)
        if url is not None:
            await redirection(url, gone).send(send, head=False)
        else:
            await self._app(inner, receive, partial(_send_with, send, headers=[gone]))


async def _send_with(send: Send, message: Message, *, headers: Sequence[tuple[bytes, bytes]]) -> None:
    if message["type"] == "http.response.start":
        message = {**message, "headers": [*message["headers"], *headers]}
    await send(message)
