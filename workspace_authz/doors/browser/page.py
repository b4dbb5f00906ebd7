"""MLflow's page with a tag of ours in it."""

from __future__ import annotations

from typing import Final

from workspace_authz.aio.asgi import Message, Scope, Send

_MOST_PAGE_BYTES: Final = 2**20
_CONDITIONS: Final = frozenset(
    {b"if-none-match", b"if-modified-since", b"if-range", b"range", b"accept-encoding"}
)
"""What would make MLflow answer with less than its page."""
_VALIDATORS: Final = frozenset(
    {b"etag", b"last-modified", b"cache-control", b"content-length", b"accept-ranges"}
)


def asking_for_page(scope: Scope) -> Scope:
    """The same request for the whole page."""
    headers = [(name, value) for name, value in scope["headers"] if name not in _CONDITIONS]
    return {**scope, "headers": headers}


class TaggedPage:
    """A ``send`` that puts tags at the end of the head of a page. What is no page goes on as it is."""

    def __init__(self, send: Send, *, tags: bytes, head: bool) -> None:
        self._send = send
        self._tags = tags
        self._head = head
        self._start: Message | None = None
        self._content = bytearray()

    async def __call__(self, message: Message) -> None:
        """Send one message."""
        if message["type"] == "http.response.start" and _is_page(message):
            self._start = message
        elif self._start is None or message["type"] != "http.response.body":
            await self._send(message)
        else:
            await self._add(self._start, message)

    async def _add(self, start: Message, message: Message) -> None:
        self._content += message.get("body", b"")
        more = message.get("more_body", False)
        if more and len(self._content) <= _MOST_PAGE_BYTES:
            return
        content = bytes(self._content).replace(b"</head>", self._tags + b"</head>", 1)
        headers = [(name, value) for name, value in start["headers"] if name.lower() not in _VALIDATORS]
        headers.append((b"cache-control", b"no-store"))
        if not more and not self._head:
            headers.append((b"content-length", str(len(content)).encode()))
        self._start = None
        await self._send({**start, "headers": headers})
        await self._send({**message, "body": content})


def _is_page(start: Message) -> bool:
    kinds = [value for name, value in start["headers"] if name.lower() == b"content-type"]
    return start["status"] == 200 and any(kind.startswith(b"text/html") for kind in kinds)
