"""Answers to a browser that are held back until they are complete, so that others can take their place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from workspace_authz.aio.asgi import Message, Send

Release: TypeAlias = Callable[[Message, Message], Awaitable[None]]
"""Sends an answer: its start, and one message with all of its content so far."""


class BufferedAnswer:
    """A ``send`` that holds back answers, which ``holds`` selects by their start. The rest goes on as it is.

    ``release`` sends one once it is complete, or larger than ``most`` bytes; what follows then goes on.
    """

    def __init__(self, send: Send, *, holds: Callable[[Message], bool], most: int, release: Release) -> None:
        self._send = send
        self._holds = holds
        self._most = most
        self._release = release
        self._start: Message | None = None
        self._content = bytearray()

    async def __call__(self, message: Message) -> None:
        """Send one message."""
        if message["type"] == "http.response.start" and self._holds(message):
            self._start = message
        elif self._start is None or message["type"] != "http.response.body":
            await self._send(message)
        else:
            await self._add(self._start, message)

    async def _add(self, start: Message, message: Message) -> None:
        self._content += message.get("body", b"")
        if message.get("more_body", False) and len(self._content) <= self._most:
            return
        self._start = None
        await self._release(start, {**message, "body": bytes(self._content)})
