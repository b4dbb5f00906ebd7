"""One answer of an ASGI application, held back to be read before it is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from workspace_authz.aio.asgi import App, Message, Receive, Scope, Send
from workspace_authz.errors import RequestError

LARGEST_ANSWER: Final = 64 * 2**20
"""Bytes."""

_OF_THE_CONTENT: Final = frozenset({b"content-length", b"etag", b"last-modified", b"content-md5", b"digest"})


class UnreadableAnswerError(RequestError):
    """MLflow's answer is not the list that it should be."""

    def __init__(self) -> None:
        super().__init__("MLflow's answer could not be filtered for you, so it is withheld.")


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
