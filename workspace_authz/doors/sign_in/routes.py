"""The routes of signing in and out."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, TypeAlias
from urllib.parse import parse_qsl

from workspace_authz.aio.asgi import App, Receive, Scope, Send
from workspace_authz.doors.asgi.body import ReplayedBody
from workspace_authz.doors.asgi.protocol import peer_of, route_path
from workspace_authz.doors.own_routes import OwnAnswer, OwnRequest, serve
from workspace_authz.doors.public_urls import PublicUrl
from workspace_authz.doors.sign_in.pages import Choice, choice_page, redirection, signed_in_page
from workspace_authz.doors.sign_in.paths import SignInPaths
from workspace_authz.errors import BadRequestError, RequestError, UnauthenticatedError, UnknownRouteError
from workspace_authz.identity.authenticator import Presented
from workspace_authz.identity.credentials import MAX_TOKEN_BYTES
from workspace_authz.identity.sessions.authenticator import SESSION
from workspace_authz.identity.sessions.same_origin import demand_same_origin
from workspace_authz.identity.sign_in.flow import ATTEMPT_SECONDS
from workspace_authz.kubernetes.credentials import AssertedUser
from workspace_authz.runtime.runtime import Runtime
from workspace_authz.runtime.sign_in import BrowserSessions
from workspace_authz.types import Caller

ATTEMPT: Final = "sign-in"
"""The purpose of the cookie that an attempt to sign in has."""
_MOST_FORM_BYTES: Final = 2 * MAX_TOKEN_BYTES
_MOST_FIELDS: Final = 50

_Route: TypeAlias = Callable[[Scope, Receive, OwnRequest, BrowserSessions], Awaitable[OwnAnswer]]


class SignInMiddleware:
    """Answers the routes of signing in below the static prefix, and passes everything else on.

    ``urls`` are the server's public ones: providers send people back to one of them.
    """

    def __init__(
        self,
        app: App,
        *,
        static_prefix: str,
        urls: tuple[PublicUrl, ...],
        runtime: Callable[[], Runtime],
    ) -> None:
        self._app = app
        self._runtime = runtime
        self._urls = urls
        self._paths = paths = SignInPaths(static_prefix.rstrip("/"))
        self._routes: Mapping[tuple[str, str], _Route] = {
            ("GET", paths.page): self._choose,
            ("GET", paths.start): self._start,
            ("GET", paths.callback): self._finish,
            ("POST", paths.token): self._take_token,
            ("POST", paths.out): self._sign_out,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        method = scope["method"] if scope["type"] == "http" else ""
        key = ("GET" if method == "HEAD" else method, route_path(scope) if method else "")
        route = self._routes.get(key)
        if route is None:
            await self._app(scope, receive, send)
            return
        work = partial(_with_sessions, route, scope, receive)
        refusal = partial(self._refusal, scope)
        await serve(work, scope=scope, send=send, runtime=self._runtime, refusal=refusal)

    async def _choose(self, scope: Scope, _: Receive, own: OwnRequest, browser: BrowserSessions) -> OwnAnswer:
        if _accepts_json(scope):
            providers = [{"name": choice.name, "title": choice.title} for choice in _choices(browser)]
            document = {"providers": providers, "tokens": browser.sign_in.takes_tokens}
            return OwnAnswer(json.dumps(document).encode(), "application/json")
        back_to = self._paths.back_to(_query(scope).get("next", ""))
        presented = Presented(scope["headers"], peer=peer_of(scope))
        try:
            caller = await own.runtime.pipeline.identity.authenticate(presented, unverified=lambda _: None)
        except UnauthenticatedError:
            return self._choice(browser, back_to=back_to)
        own.identified(caller)
        return signed_in_page(self._paths, caller.user.username, back_to=back_to)

    async def _start(self, scope: Scope, _: Receive, own: OwnRequest, browser: BrowserSessions) -> OwnAnswer:
        asked = _query(scope)
        url, attempt = await browser.sign_in.begin(
            asked.get("provider", ""),
            redirect_uri=self._origin(scope) + self._paths.callback,
            back_to=self._paths.back_to(asked.get("next", "")),
        )
        return redirection(url, browser.cookies.set(ATTEMPT, attempt, seconds=ATTEMPT_SECONDS))

    async def _finish(self, scope: Scope, _: Receive, own: OwnRequest, browser: BrowserSessions) -> OwnAnswer:
        attempts = browser.cookies.find(scope["headers"], ATTEMPT)
        answer = _query(scope)
        scope["query_string"] = b""  # of which uvicorn would write the code into its log of accesses
        begun = await browser.sign_in.finish(attempts, answer, peer=peer_of(scope))
        own.identified(Caller(begun.user, AssertedUser()))
        # Never the session that the browser had: somebody else may know it.
        await browser.sign_in.end(browser.cookies.find(scope["headers"], SESSION), back_to="")
        cookies = browser.cookies
        return redirection(
            self._paths.back_to(begun.back_to), cookies.delete(ATTEMPT), cookies.set(SESSION, begun.cookie)
        )

    async def _take_token(
        self, scope: Scope, receive: Receive, own: OwnRequest, browser: BrowserSessions
    ) -> OwnAnswer:
        demand_same_origin("POST", scope["headers"], origins=browser.origins)
        form = await _form(receive)
        token = form.get("token", "").strip()
        identity = own.runtime.pipeline.identity
        caller, cookie = await browser.sign_in.with_token(token, identity, peer=peer_of(scope))
        own.identified(caller)
        await browser.sign_in.end(browser.cookies.find(scope["headers"], SESSION), back_to="")
        return redirection(self._paths.back_to(form.get("next", "")), browser.cookies.set(SESSION, cookie))

    async def _sign_out(
        self, scope: Scope, _: Receive, own: OwnRequest, browser: BrowserSessions
    ) -> OwnAnswer:
        demand_same_origin("POST", scope["headers"], origins=browser.origins)
        cookies = browser.cookies
        page = self._origin(scope) + self._paths.page
        url = await browser.sign_in.end(cookies.find(scope["headers"], SESSION), back_to=page)
        return redirection(url or self._paths.page, cookies.delete(SESSION))

    def _refusal(self, scope: Scope, error: RequestError) -> OwnAnswer:
        """The choice again, with what went wrong."""
        browser = self._runtime().browser
        if browser is None or _accepts_json(scope):
            return OwnAnswer(json.dumps(error.document).encode(), "application/json", status=error.status)
        headers = {name: value for name, value in error.headers if name != "www-authenticate"}
        answer = self._choice(browser, problem=error.message, status=error.status)
        more = [(name.encode(), value.encode()) for name, value in headers.items()]
        return OwnAnswer(
            answer.content, answer.content_type, status=answer.status, headers=(*answer.headers, *more)
        )

    def _choice(
        self, browser: BrowserSessions, *, back_to: str = "", problem: str = "", status: int = 200
    ) -> OwnAnswer:
        return choice_page(
            self._paths,
            _choices(browser),
            back_to=back_to or self._paths.home,
            takes_tokens=browser.sign_in.takes_tokens,
            problem=problem,
            status=status,
        )

    def _origin(self, scope: Scope) -> str:
        """The public URL by which the browser came; the first one where it came by none of them."""
        host = next(
            (value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"), ""
        )
        return next((url.origin for url in self._urls if host in url.hosts), self._urls[0].origin)


async def _with_sessions(route: _Route, scope: Scope, receive: Receive, own: OwnRequest) -> OwnAnswer:
    browser = own.runtime.browser
    if browser is None:
        raise UnknownRouteError("Nobody signs in on this server.")
    return await route(scope, receive, own, browser)


def _choices(browser: BrowserSessions) -> list[Choice]:
    return [Choice(provider.name, provider.title) for provider in browser.sign_in.providers.values()]


def _accepts_json(scope: Scope) -> bool:
    accepted = [value for name, value in scope["headers"] if name == b"accept"]
    return any(value.startswith(b"application/json") for value in accepted)


def _query(scope: Scope) -> Mapping[str, str]:
    return _fields(scope["query_string"])


def _fields(encoded: bytes) -> Mapping[str, str]:
    """The fields of a form or a query, each once. Raises :class:`BadRequestError`."""
    try:
        pairs = parse_qsl(encoded.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise BadRequestError("The fields of this request cannot be read.") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise BadRequestError("A field of this request is repeated.")
    return fields


async def _form(receive: Receive) -> Mapping[str, str]:
    body = await ReplayedBody(receive, limit=_MOST_FORM_BYTES).read()
    if body is None:
        raise BadRequestError("This is too long for a token.")
    return _fields(body)
