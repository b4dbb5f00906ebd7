"""Routes of ours, and one request to one of them: who asks, and what was sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs, urlsplit

from workspace_authz.aio.asgi import App, Receive, Scope, Send
from workspace_authz.doors.asgi.body import ReplayedBody
from workspace_authz.doors.asgi.protocol import peer_of, route_path
from workspace_authz.doors.own_routes import OwnAnswer, OwnRequest, serve
from workspace_authz.doors.pages import refusal_page
from workspace_authz.errors import BadRequestError, ForbiddenError, UnavailableError
from workspace_authz.identity.authenticator import Presented
from workspace_authz.kubernetes.reviews import NO_ANSWER
from workspace_authz.pipeline.pipeline import DEADLINE_SECONDS
from workspace_authz.runtime.runtime import Runtime
from workspace_authz.types import Caller
from workspace_authz.workspaces.requested import WORKSPACE_HEADER

MOST_BODY_BYTES: Final = 64 * 1024
"""Of a request to a route of ours. What people fill in is far smaller."""
_MOST_FIELDS: Final = 300
_READS: Final = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to a route of ours."""

    scope: Scope
    receive: Receive
    own: OwnRequest
    static_prefix: str = ""

    @property
    def runtime(self) -> Runtime:
        """The parts of this worker."""
        return self.own.runtime

    async def caller(self) -> Caller:
        """Who asks. Noted for the audit record, and authenticated once.

        Raises ``UnauthenticatedError`` and ``UnavailableError``, and :class:`ForbiddenError` where the page
        of another site asks.
        """
        scope, caller = self.scope, self.own.caller
        if caller is None:
            presented = Presented(scope["headers"], peer=peer_of(scope), method=scope["method"])
            caller = await self.runtime.pipeline.identity.authenticate(presented, unverified=lambda _: None)
            self.own.identified(caller)
        if scope["method"] not in _READS:
            _demand_own_page(self)
        return caller

    def header(self, wanted: bytes) -> Sequence[str]:
        """The values of a header, by its name in lower case."""
        return [value.decode("latin-1") for name, value in self.scope["headers"] if name == wanted]

    @property
    def workspace(self) -> str | None:
        """The workspace in MLflow's header; None without one."""
        return next(iter(self.header(WORKSPACE_HEADER)), None)

    def query(self) -> Mapping[str, Sequence[str]]:
        """The parameters in the URL. Raises :class:`BadRequestError`."""
        return _fields(self.scope["query_string"])

    def parameter(self, name: str, default: str = "") -> str:
        """A parameter in the URL that may stand there once. Raises :class:`BadRequestError`."""
        return once(self.query(), name, default=default)

    async def document(self) -> Mapping[str, Any]:
        """The JSON object in the body. Raises :class:`BadRequestError`."""
        try:
            document = json.loads(await self._body() or b"{}")
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise BadRequestError("The body must be a JSON object.")
        return document

    async def form(self) -> Mapping[str, Sequence[str]]:
        """The fields of the form in the body. Raises :class:`BadRequestError`."""
        return _fields(await self._body())

    async def _body(self) -> bytes:
        body = await ReplayedBody(self.receive, limit=MOST_BODY_BYTES).read()
        if body is None:
            raise BadRequestError(f"The body is larger than {MOST_BODY_BYTES // 1024} KiB.")
        return body


Work: TypeAlias = Callable[[Visit], Awaitable[OwnAnswer]]


@dataclass(frozen=True, slots=True)
class OwnRoute:
    """A route of ours. ``path`` lies below the static prefix."""

    method: str
    path: str
    work: Work
    is_page: bool = False
    """Whether people see the answer: then a refusal is a page, too."""


class OwnRoutesMiddleware:
    """Answers routes of ours below the static prefix, and passes everything else on."""

    def __init__(
        self, app: App, *, routes: Sequence[OwnRoute], static_prefix: str, runtime: Callable[[], Runtime]
    ) -> None:
        self._app = app
        self._runtime = runtime
        self._static_prefix = prefix = static_prefix.rstrip("/")
        self._routes = {(route.method, prefix + route.path): route for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        method = scope["method"] if scope["type"] == "http" else ""
        key = ("GET" if method == "HEAD" else method, route_path(scope) if method else "")
        route = self._routes.get(key)
        if route is None:
            await self._app(scope, receive, send)
            return
        work = partial(_answer, route, scope=scope, receive=receive, static_prefix=self._static_prefix)
        refusal = partial(refusal_page, self._static_prefix) if route.is_page else None
        await serve(work, scope=scope, send=send, runtime=self._runtime, refusal=refusal)


async def _answer(
    route: OwnRoute, own: OwnRequest, *, scope: Scope, receive: Receive, static_prefix: str
) -> OwnAnswer:
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await route.work(Visit(scope, receive, own, static_prefix))
    except TimeoutError:
        raise UnavailableError(NO_ANSWER) from None


def json_answer(document: Mapping[str, Any]) -> OwnAnswer:
    """``document`` as JSON."""
    return OwnAnswer(json.dumps(document).encode(), "application/json")


def text_field(fields: Mapping[str, Any], name: str) -> str:
    """A field that must hold a text. Raises :class:`BadRequestError`."""
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise BadRequestError(f"The field '{name}' must be a text that is not empty.")
    return value


def _fields(encoded: bytes) -> Mapping[str, Sequence[str]]:
    try:
        return parse_qs(encoded.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise BadRequestError("The fields of this request cannot be read.") from None


def once(fields: Mapping[str, Sequence[str]], name: str, *, default: str = "") -> str:
    """A field that may stand there once. Raises :class:`BadRequestError`."""
    values = fields.get(name, (default,))
    if len(values) > 1:
        raise BadRequestError(f"The field '{name}' is repeated.")
    return values[0]


def _demand_own_page(visit: Visit) -> None:
    """Whatever the credential, a browser may have added it by itself: to a form of another site, too.

    Browsers say who made a request (``Sec-Fetch-Site``; over plain HTTP ``Origin`` alone), programs do not.
    """
    sites, origins, hosts = visit.header(b"sec-fetch-site"), visit.header(b"origin"), visit.header(b"host")
    if sites:
        own = sites == ["same-origin"]
    else:
        own = not origins or (len(origins) == 1 and [urlsplit(origins[0]).netloc] == hosts)
    if not own:
        raise ForbiddenError("This request was made by the page of another site, so it is refused.")
