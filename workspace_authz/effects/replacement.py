"""A request that MLflow sees instead of the one that came."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from workspace_authz.aio.asgi import Message, Receive, Scope

_ABOUT_THE_BODY: Final = frozenset({b"content-length", b"content-encoding", b"transfer-encoding"})

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Replacement:
    """A body, and maybe a query string, in place of the caller's."""

    content: bytes
    content_type: bytes | None = None
    """None: as the caller said."""
    query: bytes | None = None
    """None: as the caller said."""

    def headers(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """``headers`` as they are right for this body."""
        dropped = _ABOUT_THE_BODY | ({b"content-type"} if self.content_type is not None else set())
        kept = [(name, value) for name, value in headers if name.replace(b"_", b"-") not in dropped]
        kept.append((b"content-length", str(len(self.content)).encode()))
        if self.content_type is not None:
            kept.append((b"content-type", self.content_type))
        return kept

    def applied(self, scope: Scope, receive: Receive) -> tuple[Scope, Receive]:
        """The request in place of ``scope`` and ``receive``; nothing more is read of the caller's body."""
        query = {} if self.query is None else {"query_string": self.query}
        content: list[Message] = [{"type": "http.request", "body": self.content, "more_body": False}]

        async def given() -> Message:
            return content.pop() if content else await receive()

        return {**scope, **query, "headers": self.headers(scope["headers"])}, given
