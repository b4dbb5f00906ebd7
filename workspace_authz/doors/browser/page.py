"""MLflow's page with a tag of ours in it."""

from __future__ import annotations

from typing import Final

from workspace_authz.aio.asgi import Message, Scope, Send
from workspace_authz.doors.browser.buffered import BufferedAnswer

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


def tagged_page(send: Send, *, tags: bytes, head: bool) -> Send:
    """A ``send`` that puts tags at the end of the head of a page. What is no page goes on as it is.

    ``head``: the answer is to a HEAD, so its content is not sent.
    """

    async def release(start: Message, content: Message) -> None:
        body = content["body"].replace(b"</head>", tags + b"</head>", 1)
        headers = [(name, value) for name, value in start["headers"] if name.lower() not in _VALIDATORS]
        headers.append((b"cache-control", b"no-store"))
        if not content.get("more_body", False) and not head:
            headers.append((b"content-length", str(len(body)).encode()))
        await send({**start, "headers": headers})
        await send({**content, "body": body})

    return BufferedAnswer(send, holds=_is_page, most=_MOST_PAGE_BYTES, release=release)


def _is_page(start: Message) -> bool:
    kinds = [value for name, value in start["headers"] if name.lower() == b"content-type"]
    return start["status"] == 200 and any(kind.startswith(b"text/html") for kind in kinds)
