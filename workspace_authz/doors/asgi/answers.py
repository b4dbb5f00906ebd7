"""Answers of MLflow that are held back, because a list in them is kept to what the caller may see."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from workspace_authz.aio.asgi import App, Message, Receive, Scope, Send
from workspace_authz.doors.asgi.body import Disconnection, GivenMessages
from workspace_authz.effects.graphql_answers import ElementFilter
from workspace_authz.effects.lists import (
    SCANNED_PAGES,
    AnswerFilter,
    Pages,
    UnreadableAnswerError,
    read_answer,
)
from workspace_authz.effects.page_tokens import Position
from workspace_authz.effects.rewriting import RequestReplacement, as_request

LARGEST_ANSWER: Final = 64 * 2**20
"""Bytes."""
_IN_THREAD: Final = 64 * 1024
"""Bytes. From this size on, a worker thread parses."""

_OF_THE_CONTENT: Final = frozenset({b"content-length", b"etag", b"last-modified", b"content-md5", b"digest"})


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    content: bytes

    @property
    def refuses(self) -> bool:
        """MLflow's own error, which is passed on as it is."""
        return self.status >= 400

    def with_content(self, content: bytes) -> Answer:
        """The same answer about other content."""
        kept = [pair for pair in self.headers if pair[0].lower() not in _OF_THE_CONTENT]
        length = (b"content-length", str(len(content)).encode())
        return replace(self, headers=[*kept, length], content=content)

    async def send(self, send: Send) -> None:
        """Send it on."""
        await send({"type": "http.response.start", "status": self.status, "headers": list(self.headers)})
        await send({"type": "http.response.body", "body": self.content})


def replaced(request: RequestReplacement, scope: Scope, receive: Receive) -> tuple[Scope, Receive]:
    """``request`` in place of ``scope`` and ``receive``; nothing more is read of the caller's body."""
    query = {} if request.query is None else {"query_string": request.query}
    inner = {**scope, **query, "headers": request.headers(scope["headers"])}
    return inner, GivenMessages(request.content, then=Disconnection(receive))


async def filtered_answer(
    app: App, scope: Scope, receive: Receive, *, keep: AnswerFilter | ElementFilter
) -> Answer:
    """What ``app`` answers, as far as ``keep`` lets the caller see it.

    Raises :class:`UnreadableAnswerError` before anything is sent.
    """
    inner = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]}
    if isinstance(keep, AnswerFilter) and keep.pages is not None:
        return await _page(app, inner, receive, keep=keep, pages=keep.pages)
    answer = await answer_of(app, inner, receive)
    return answer if answer.refuses else answer.with_content(keep.filtered(await _read(answer)))


async def _page(app: App, scope: Scope, receive: Receive, *, keep: AnswerFilter, pages: Pages) -> Answer:
    """MLflow's pages, one after the other, until one of ours is full and the next one has an element."""
    kept: list[Any] = []
    position, wanted = pages.start, pages.wanted
    for _ in range(SCANNED_PAGES):
        request = as_request(scope["method"], pages.asking_for(position.token))
        answer = await answer_of(app, *replaced(request, scope, receive))
        if answer.refuses:
            return answer
        document = await _read(answer)
        items, following = keep.elements(document), keep.next_token(document)
        wanted = wanted or (len(items) if following else None)
        for index, item in enumerate(items[position.skip :], position.skip):
            if not keep.may_see(item):
                continue
            if len(kept) == wanted:
                token = pages.token(Position(position.token, index))
                return answer.with_content(keep.written(document, kept, token=token))
            kept.append(item)
        if not following or not keep.allowed:
            return answer.with_content(keep.written(document, kept, token=None))
        position = Position(following)
    return answer.with_content(keep.written(document, kept, token=pages.token(position)))


async def _read(answer: Answer) -> dict[str, Any]:
    if len(answer.content) < _IN_THREAD:
        return read_answer(answer.content)
    return await asyncio.to_thread(read_answer, answer.content)


async def answer_of(app: App, scope: Scope, receive: Receive) -> Answer:
    """Ask ``app``. Raises :class:`UnreadableAnswerError` unless it answers with plain JSON, or an error."""
    collected = _Collected()
    await app({**scope}, receive, collected.take)
    answer = collected.answer()
    if answer is None or not (answer.refuses or (answer.status == 200 and _is_json(answer))):
        raise UnreadableAnswerError
    return answer


class _Collected:
    """An ASGI ``send`` that keeps what it gets, up to the bound."""

    def __init__(self) -> None:
        self._start: Message | None = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._readable = True
        self._complete = False

    async def take(self, message: Message) -> None:
        """One message. What exceeds the bound is forgotten at once."""
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            self._size += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            if self._size > LARGEST_ANSWER:
                self._readable = False
                self._chunks.clear()
            elif self._readable:
                self._chunks.append(message.get("body", b""))
        else:
            self._readable = False

    def answer(self) -> Answer | None:
        """What came, if it is complete."""
        if self._start is None or not self._readable or not self._complete:
            return None
        return Answer(self._start["status"], list(self._start.get("headers", ())), b"".join(self._chunks))


def _is_json(answer: Answer) -> bool:
    headers = {name.lower(): value.lower() for name, value in answer.headers}
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip()
    return kind == b"application/json" and headers.get(b"content-encoding", b"identity") == b"identity"
