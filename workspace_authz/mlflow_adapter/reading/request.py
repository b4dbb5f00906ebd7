"""One request as the pipeline sees it, and its body, read only when asked for and replayed byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from workspace_authz.aio.asgi import Message, Receive
from workspace_authz.errors import SlowClientError

PATIENCE_SECONDS: Final = 30.0
"""How long a client may send nothing of a body that is waited for."""


class Body(Protocol):
    """The body of a request."""

    async def read(self, at_most: int | None = None) -> bytes | None:
        """All of it, or None when it is larger than the bound or the client went away.

        ``at_most`` replaces the usual bound, in bytes. Raises :class:`SlowClientError`.
        """


class EmptyBody:
    """No body: a dry run's."""

    async def read(self, at_most: int | None = None) -> bytes | None:
        """Nothing."""
        return b""


class ReplayedBody:
    """Reads an ASGI request's body up to ``limit`` bytes and is itself the ``receive`` for the application.

    What was read is handed on first, message by message as it came; the rest flows through untouched.
    """

    def __init__(self, receive: Receive, *, limit: int, patience: float = PATIENCE_SECONDS) -> None:
        self._receive = receive
        self._limit = limit
        self._patience = patience
        self._read: list[Message] = []
        self._complete = False
        self._gone = False

    async def read(self, at_most: int | None = None) -> bytes | None:
        """See :class:`Body`."""
        limit = self._limit if at_most is None else at_most
        size = sum(len(message.get("body", b"")) for message in self._read)
        while not self._complete and not self._gone and size <= limit:
            message = await self._next()
            self._read.append(message)
            self._gone = message["type"] != "http.request"
            size += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
        if self._gone or size > limit:
            return None
        return b"".join(message.get("body", b"") for message in self._read)

    async def _next(self) -> Message:
        try:
            async with asyncio.timeout(self._patience):
                return await self._receive()
        except TimeoutError:
            raise SlowClientError(
                f"Nothing more of the request's body came for {self._patience:g} seconds."
            ) from None

    def replace(self, content: bytes) -> None:
        """Hand on ``content`` in place of the body, all of which must have been read."""
        self._read = [{"type": "http.request", "body": content, "more_body": False}]

    async def __call__(self) -> Message:
        """The next ASGI message for the application."""
        if self._read:
            return self._read.pop(0)
        return await self._receive()


@dataclass(frozen=True, slots=True)
class UnhurriedBody:
    """A body whose sender may take their time: the deadline of everything else stands still meanwhile."""

    body: Body
    deadline: asyncio.Timeout

    async def read(self, at_most: int | None = None) -> bytes | None:
        """See :class:`Body`."""
        clock = asyncio.get_running_loop().time
        ends = self.deadline.when()
        left = None if ends is None else ends - clock()
        self.deadline.reschedule(None)
        try:
            return await self.body.read(at_most)
        finally:
            self.deadline.reschedule(None if left is None else clock() + left)


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """What is judged: method, route path, query, headers (names in lower case) and body."""

    method: str
    path: str
    """The ASGI route path: decoded, below the root path, with the static prefix."""
    headers: Sequence[tuple[bytes, bytes]] = field(default=(), repr=False)
    query: bytes = field(default=b"", repr=False)
    body: Body = field(default_factory=EmptyBody, repr=False)
    dry: bool = False
    """Judged only: MLflow will not be asked, and nothing may change."""
    peer: str = ""
    """The client's address, empty where there is none."""

    def header(self, name: bytes) -> list[bytes]:
        """Every value of one header."""
        return [value for key, value in self.headers if key == name]
