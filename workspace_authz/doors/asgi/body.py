"""The body of an ASGI request: read only when asked for, and handed on byte for byte."""

from __future__ import annotations

import asyncio
from typing import Final

from workspace_authz.aio.asgi import Message, Receive
from workspace_authz.errors import BadRequestError, SlowClientError

STALL_SECONDS: Final = 30.0
"""How long a client may send nothing of a body that is waited for."""


class ReplayedBody:
    """Reads an ASGI request's body up to ``limit`` bytes and is itself the ``receive`` for the application.

    What was read is handed on first, message by message as it came; what follows flows through untouched.
    """

    def __init__(self, receive: Receive, *, limit: int, stall_seconds: float = STALL_SECONDS) -> None:
        self._receive = receive
        self._limit = limit
        self._stall_seconds = stall_seconds
        self._read: list[Message] = []
        self._complete = False
        self._gone = False

    @property
    def limit(self) -> int:
        """See :class:`workspace_authz.mlflow_adapter.reading.request.Body`."""
        return self._limit

    async def read(self, at_most: int | None = None) -> bytes | None:
        """See :class:`workspace_authz.mlflow_adapter.reading.request.Body`."""
        limit = self._limit if at_most is None else at_most
        size = sum(len(message.get("body", b"")) for message in self._read)
        while not self._complete and not self._gone and size <= limit:
            message = await next_message(self._receive, self._stall_seconds)
            self._read.append(message)
            self._gone = message["type"] != "http.request"
            size += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
        if self._gone or size > limit:
            return None
        return b"".join(message.get("body", b"") for message in self._read)

    async def __call__(self) -> Message:
        """The next ASGI message for the application."""
        if self._read:
            return self._read.pop(0)
        return await self._receive()


class BoundedBody:
    """A ``receive`` that hands a body on as it comes, up to ``limit`` bytes.

    Raises :class:`BadRequestError` beyond it, and :class:`SlowClientError` when the client falls silent.
    """

    def __init__(self, receive: Receive, *, limit: int, stall_seconds: float = STALL_SECONDS) -> None:
        self._receive = receive
        self._limit = limit
        self._stall_seconds = stall_seconds
        self._size = 0
        self._complete = False

    async def __call__(self) -> Message:
        """The next ASGI message."""
        if self._complete:
            return await self._receive()
        message = await next_message(self._receive, self._stall_seconds)
        self._size += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._size > self._limit:
            raise BadRequestError(
                f"The body is too large: this server takes at most {self._limit} bytes, except in uploads of "
                "artifacts. The server's setting WORKSPACE_AUTHZ_REQUEST_BYTES raises the limit."
            )
        return message


async def next_message(receive: Receive, stall_seconds: float) -> Message:
    """What comes next of a body. Raises :class:`SlowClientError` when nothing comes in time."""
    try:
        async with asyncio.timeout(stall_seconds):
            return await receive()
    except TimeoutError:
        raise SlowClientError(
            f"Nothing more of the request's body came for {stall_seconds:g} seconds."
        ) from None


class GivenMessages:
    """A ``receive`` that hands out ``content``, and afterwards what ``then`` brings."""

    def __init__(self, content: bytes, *, then: Receive) -> None:
        self._content: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]
        self._then = then

    async def __call__(self) -> Message:
        """The next ASGI message."""
        return self._content.pop() if self._content else await self._then()


class Disconnection:
    """A ``receive`` that drops what a client sends and reports only that it went away."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    async def __call__(self) -> Message:
        """The message that the client went away."""
        while (message := await self._receive())["type"] == "http.request":
            continue
        return message
