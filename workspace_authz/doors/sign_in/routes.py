"""The routes of signing in and out."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeAlias
from urllib.parse import parse_qsl

from workspace_authz.aio.asgi import App, Receive, Scope, Send
from workspace_authz.doors.asgi.body import ReplayedBody
from workspace_authz.doors.asgi.protocol import peer_of, route_path
from workspace_authz.doors.own_routes import OwnAnswer, OwnRequest, serve
from workspace_authz.doors.public_urls import PublicUrl, origin_of
from workspace_authz.doors.sign_in.pages import Choice, choice_page, redirection, signed_in_page
from workspace_authz.doors.sign_in.paths import SignInPaths
from workspace_authz.errors import BadRequestError, RequestError, UnauthenticatedError, UnknownRouteError
from workspace_authz.identity.authenticator import AuthenticatorChain, Presented
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

_Route: TypeAlias = Callable[["_Visit"], Awaitable[OwnAnswer]]


@dataclass(frozen=True, slots=True)
class _Visit:
    """One request to a route of signing in."""

    scope: Scope
    receive: Receive
    own: OwnRequest
    browser: BrowserSessions

    @property
    def peer(self) -> str:
        return peer_of(self.scope)

    @property
    def identity(self) -> AuthenticatorChain:
        return self.own.runtime.pipeline.identity

    def cookies(self, purpose: str) -> Sequence[bytes]:
        return self.browser.cookies.find(self.scope["headers"], purpose)

    def demand_same_origin(self) -> None:
        demand_same_origin("POST", self.scope["headers"], origins=self.browser.origins)


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
            ("POST", paths.pasted): self._take_token,
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
        work = partial(_answer, route, scope=scope, receive=receive)
        refusal = partial(self._refusal, scope)
        await serve(work, scope=scope, send=send, runtime=self._runtime, refusal=refusal)

    async def _choose(self, visit: _Visit) -> OwnAnswer:
        browser, scope = visit.browser, visit.scope
        if _accepts_json(scope):
            providers = [
                {"name": each.name, "title": each.title, **each.command_line}
                for each in browser.sign_in.providers.values()
            ]
            document = {"providers": providers, "tokens": browser.sign_in.takes_tokens}
            return OwnAnswer(json.dumps(document).encode(), "application/json")
        back_to = self._paths.back_to(_query(scope).get("next", ""))
        presented = Presented(scope["headers"], peer=visit.peer)
        try:
            caller = await visit.identity.authenticate(presented, unverified=lambda _: None)
        except UnauthenticatedError:
            return self._choice(browser, back_to=back_to)
        visit.own.identified(caller)
        return signed_in_page(self._paths, caller.user.username, back_to=back_to)

    async def _start(self, visit: _Visit) -> OwnAnswer:
        asked = _query(visit.scope)
        url, attempt = await visit.browser.sign_in.begin(
            asked.get("provider", ""),
            redirect_uri=origin_of(visit.scope, self._urls) + self._paths.callback,
            back_to=self._paths.back_to(asked.get("next", "")),
        )
        return redirection(url, visit.browser.cookies.set(ATTEMPT, attempt, seconds=ATTEMPT_SECONDS))

    async def _finish(self, visit: _Visit) -> OwnAnswer:
        answer = _query(visit.scope)
        # uvicorn's access log shows the scope's query, and this one holds a code.
        visit.scope["query_string"] = b""
        begun = await visit.browser.sign_in.finish(visit.cookies(ATTEMPT), answer, peer=visit.peer)
        visit.own.identified(Caller(begun.user, AssertedUser()))
        attempt = visit.browser.cookies.delete(ATTEMPT)
        return await self._begun(visit, begun.cookie, attempt, back_to=begun.back_to)

    async def _take_token(self, visit: _Visit) -> OwnAnswer:
        visit.demand_same_origin()
        form = await _form(visit.receive)
        token = form.get("token", "").strip()
        caller, cookie = await visit.browser.sign_in.with_token(token, visit.identity, peer=visit.peer)
        visit.own.identified(caller)
        return await self._begun(visit, cookie, back_to=form.get("next", ""))

    async def _begun(
        self, visit: _Visit, cookie: bytes, *more: tuple[bytes, bytes], back_to: str
    ) -> OwnAnswer:
        """Leads to the page that was asked for, with the cookie of a new session."""
        # Never the session that the browser had: somebody else may know it.
        await visit.browser.sign_in.end(visit.cookies(SESSION), back_to="")
        cookies = visit.browser.cookies
        return redirection(self._paths.back_to(back_to), cookies.set(SESSION, cookie), cookies.mark(), *more)

    async def _sign_out(self, visit: _Visit) -> OwnAnswer:
        visit.demand_same_origin()
        page, cookies = origin_of(visit.scope, self._urls) + self._paths.page, visit.browser.cookies
        url = await visit.browser.sign_in.end(visit.cookies(SESSION), back_to=page)
        return redirection(url or self._paths.page, cookies.delete(SESSION), cookies.unmark())

    def _refusal(self, scope: Scope, error: RequestError) -> OwnAnswer:
        """The choice again, with what went wrong."""
        browser = self._runtime().browser
        if browser is None or _accepts_json(scope):
            return OwnAnswer(json.dumps(error.document).encode(), "application/json", status=error.status)
        answer = self._choice(browser, problem=error.message, status=error.status)
        more = [
            (name.encode(), value.encode()) for name, value in error.headers if name != "www-authenticate"
        ]
        return replace(answer, headers=(*answer.headers, *more))

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


async def _answer(route: _Route, own: OwnRequest, *, scope: Scope, receive: Receive) -> OwnAnswer:
    browser = own.runtime.browser
    if browser is None:
        raise UnknownRouteError("Nobody signs in on this server.")
    return await route(_Visit(scope, receive, own, browser))


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
