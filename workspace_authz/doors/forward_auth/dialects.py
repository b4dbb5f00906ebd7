"""How each proxy says which request it asks about, and what it understands of an answer.

A dialect is chosen by the path at which the proxy asks, below :data:`PREFIX`. Its headers are the proxy's own
word: the proxy sets them whatever the client sent, and they are read only from a verified sender.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from workspace_authz.aio.asgi import Receive, Scope
from workspace_authz.doors.asgi.body import ReplayedBody
from workspace_authz.doors.asgi.protocol import raw_route_path
from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.request import Body, GivenBody, UndeliveredBody

PREFIX: Final = "/workspace-authz/forward-auth/"
Headers = Sequence[tuple[bytes, bytes]]

_FORWARDED_FOR: Final = b"x-forwarded-for"
_PARTIAL: Final = b"x-envoy-auth-partial-body"
_OF_THE_QUESTION: Final = frozenset({b"content-length", b"transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Original:
    """The request that a proxy asks about."""

    method: str
    target: bytes
    """As the client sent it, with the query."""
    headers: Headers
    """Without those that are the proxy's own word."""
    body: Body
    has_body: bool | None
    """None where that is not known."""
    peer: str
    """The client's address, as the proxy says it."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request of a proxy to this door."""

    scope: Scope
    receive: Receive
    limit: int
    """The largest body that is read, in bytes."""

    @property
    def headers(self) -> Headers:
        """As they came. Names are in lower case."""
        headers: Headers = self.scope["headers"]
        return headers

    def one(self, name: bytes) -> bytes:
        """The value of a header that the proxy sets; empty without it. Raises :class:`BadRequestError`."""
        values = [value for key, value in self.headers if key == name]
        if len(values) > 1:
            raise BadRequestError(f"The proxy sent more than one {name.decode().title()}.")
        return values[0].strip() if values else b""

    def required(self, name: bytes) -> bytes:
        """The same for one that must be there. Raises :class:`BadRequestError`."""
        value = self.one(name)
        if not value:
            raise BadRequestError(
                f"The proxy sent no {name.decode().title()}: its configuration must have it "
                "(manifests/examples/forward-auth)."
            )
        return value

    def without(self, names: frozenset[bytes]) -> Headers:
        """The client's headers."""
        return [(name, value) for name, value in self.headers if name not in names | _OF_THE_QUESTION]

    @property
    def peer(self) -> str:
        """The client's address: the last in X-Forwarded-For, which the proxy itself has added.

        Never that of the proxy, which may be one that vouches for callers. Empty where it is not known.
        """
        forwarded = [value for name, value in self.headers if name == _FORWARDED_FOR]
        last = forwarded[-1].rpartition(b",")[2].strip() if forwarded else b""
        return last.decode("latin-1")

    @property
    def has_body(self) -> bool:
        """Whether the question itself has one."""
        return bool(self.one(b"transfer-encoding")) or self.one(b"content-length") not in (b"", b"0")

    def delivered(self) -> Body:
        """The body of the question, which is the client's."""
        return ReplayedBody(self.receive, limit=self.limit) if self.has_body else GivenBody()


class Dialect(Protocol):
    """The questions of one kind of proxy."""

    def passes(self, status: int) -> bool:
        """Whether this status of a refusal reaches the client. Another one is told as 403."""

    @property
    def removes(self) -> bool:
        """Whether the proxy removes the headers that an answer names."""

    def read(self, question: Question) -> Original:
        """What the proxy asks about. Raises :class:`BadRequestError`."""


@dataclass(frozen=True, slots=True)
class Nginx:
    """``auth_request``: the original request is told in headers, and never with its body."""

    removes: bool = False

    def passes(self, status: int) -> bool:
        """See :class:`Dialect`. nginx makes a 500 of every other status."""
        return status in (401, 403)

    def read(self, question: Question) -> Original:
        """See :class:`Dialect`."""
        has_body = self._has_body(question)
        return Original(
            method=_method(question.required(b"x-original-method")),
            target=question.required(b"x-original-uri"),
            headers=question.without(_NGINX),
            body=GivenBody() if has_body is False else UndeliveredBody(_NGINX_DELIVERS_NONE),
            has_body=has_body,
            peer=question.peer,
        )

    def _has_body(self, question: Question) -> bool | None:
        """A body without a length is announced by HTTP/1 and by no later version."""
        length = question.one(b"x-original-length")
        if length == b"0":
            return False
        if length or question.one(b"x-original-coding"):
            return True
        return False if question.required(b"x-original-protocol").startswith(b"HTTP/1.") else None


@dataclass(frozen=True, slots=True)
class Traefik:
    """``forwardAuth``. ``delivers``: with ``forwardBody``, which delivers all of a body or nothing at all."""

    delivers: bool
    removes: bool = False

    def passes(self, status: int) -> bool:
        """See :class:`Dialect`."""
        return True

    def read(self, question: Question) -> Original:
        """See :class:`Dialect`."""
        return Original(
            method=_method(question.required(b"x-forwarded-method")),
            target=question.required(b"x-forwarded-uri"),
            headers=question.without(_TRAEFIK),
            body=question.delivered() if self.delivers else UndeliveredBody(_TRAEFIK_DELIVERS_NONE),
            has_body=question.has_body if self.delivers else None,
            peer=question.peer,
        )


@dataclass(frozen=True, slots=True)
class Envoy:
    """``ext_authz`` with an HTTP service: the original method, and the original path behind ``prefix``.

    ``delivers``: with ``with_request_body``. Envoy marks a body that it has cut off.
    """

    prefix: bytes
    delivers: bool
    removes: bool = True

    def passes(self, status: int) -> bool:
        """See :class:`Dialect`. Envoy takes 500 and more for a failure of the door's."""
        return status < 500 or status == 503

    def read(self, question: Question) -> Original:
        """See :class:`Dialect`."""
        query: bytes = question.scope["query_string"]
        path = raw_route_path(question.scope).removeprefix(self.prefix)
        partial = question.one(_PARTIAL).lower()
        if partial not in (b"", b"true", b"false"):
            raise BadRequestError(f"The header {_PARTIAL.decode().title()} is not readable.")
        body: Body = UndeliveredBody(_CUT_OFF if partial == b"true" else _ENVOY_DELIVERS_NONE)
        return Original(
            method=_method(question.scope["method"].encode()),
            target=path + b"?" + query if query else path,
            headers=question.without(_ENVOY),
            body=question.delivered() if self.delivers and partial != b"true" else body,
            has_body=question.has_body if self.delivers else None,
            peer=question.peer,
        )


_NGINX: Final = frozenset(
    {
        b"x-original-method",
        b"x-original-uri",
        b"x-original-length",
        b"x-original-coding",
        b"x-original-protocol",
    }
)
_TRAEFIK: Final = frozenset({b"x-forwarded-method", b"x-forwarded-uri"})
_ENVOY: Final = frozenset({_PARTIAL})
_NGINX_DELIVERS_NONE: Final = "nginx's auth_request delivers none."
_TRAEFIK_DELIVERS_NONE: Final = (
    "Traefik delivers it with forwardBody, to the address that ends with traefik-with-body."
)
_ENVOY_DELIVERS_NONE: Final = (
    "Envoy delivers it with with_request_body, to the path that ends with envoy-with-body."
)
_CUT_OFF: Final = "Envoy has cut it off: max_request_bytes of with_request_body is smaller."

_ENVOY_PATH: Final = f"{PREFIX}envoy"
_ENVOY_BODY_PATH: Final = f"{PREFIX}envoy-with-body"
_AT: Final[Mapping[str, Dialect]] = MappingProxyType(
    {
        f"{PREFIX}nginx": Nginx(),
        f"{PREFIX}traefik": Traefik(delivers=False),
        f"{PREFIX}traefik-with-body": Traefik(delivers=True),
    }
)
_BELOW: Final[Mapping[str, Dialect]] = MappingProxyType(
    {
        f"{path}/": Envoy(path.encode(), delivers=delivers)
        for path, delivers in ((_ENVOY_PATH, False), (_ENVOY_BODY_PATH, True))
    }
)


def dialect_at(raw_path: bytes) -> Dialect | None:
    """The dialect in which the proxy asks at this path of the door's; None for any other path."""
    path = raw_path.decode("latin-1")
    below = (dialect for prefix, dialect in _BELOW.items() if path.startswith(prefix))
    return _AT.get(path) or next(below, None)


def _method(sent: bytes) -> str:
    """RFC 9110, section 9.1: methods are case-sensitive; MLflow serves none but these letters."""
    if not (sent.isalpha() and sent.isupper() and len(sent) <= 16):
        raise BadRequestError("The method of this request is not one of HTTP's.")
    return sent.decode("ascii")
