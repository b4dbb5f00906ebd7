"""The effect on an answer: what the caller may not see is taken out of a list that MLflow made.

The one place where an answer is held back: that of a list, for a caller without the right to all of it, up to
a bound. What cannot be understood is withheld.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from workspace_authz.aio.asgi import App, Receive, Scope, Send
from workspace_authz.doors.asgi.answers import Answer, UnreadableAnswerError, answer_of
from workspace_authz.effects.page_tokens import (
    MAX_RESULTS,
    NEXT_PAGE_TOKEN,
    PAGE_TOKEN,
    Position,
    Seal,
    token_of,
)
from workspace_authz.effects.rewriting import Fields, as_request

SCANNED_PAGES: Final = 20
"""The most pages of MLflow that one request looks through; then the caller has to come again."""
SCANNED_AT_ONCE: Final = 500
"""Elements of such a page, where the caller wants fewer; each list of MLflow allows as many."""

_ELSEWHERE: Final = 64 * 1024
"""From this many bytes on, a worker thread parses."""
_HARMLESS: Final = frozenset({"object"})
"""What else an answer may say: OpenAI's lists say that they are lists. A count tells of what is hidden."""


@dataclass(frozen=True, slots=True)
class Pages:
    """How one page of the filtered list is put together from MLflow's."""

    fields: Fields
    """The request, without its page token."""
    start: Position
    seal: Seal
    bound_to: bytes

    @property
    def wanted(self) -> int | None:
        """Elements on a page; None where that is MLflow's choice, or MLflow will refuse the request."""
        sent = self.fields.get(MAX_RESULTS)
        if isinstance(sent, int):
            return sent if sent > 0 else None
        return int(sent) if isinstance(sent, str) and sent.isdecimal() and int(sent) > 0 else None

    def asking_for(self, token: str) -> Fields:
        """The fields of the request for MLflow's page at ``token``."""
        wanted = self.wanted
        size = {} if wanted is None else {MAX_RESULTS: max(wanted, SCANNED_AT_ONCE)}
        return {**self.fields, **size, **({PAGE_TOKEN: token} if token else {})}


@dataclass(frozen=True, slots=True)
class AnswerFilter:
    """Which elements of MLflow's answer the caller gets."""

    items: str
    """Where the answer has its list."""
    identity: tuple[str, ...]
    """The way, within an element, to what identifies its object."""
    allowed: Collection[str]
    pages: Pages | None = None
    """None for a list that comes at once."""

    def around(self, app: App) -> App:
        """``app`` with its answer filtered. Raises :class:`RequestError` before anything is sent."""

        async def filtered(scope: Scope, receive: Receive, send: Send) -> None:
            inner = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]}
            if self.pages is None:
                answer = await answer_of(app, inner, receive)
                if not answer.refuses:
                    document = await self._document(answer)
                    found = [item for item in self._items(document) if self._may_see(item)]
                    answer = answer.with_content(self._written(document, found, None))
            else:
                answer = await self._page(app, inner, receive, self.pages)
            await answer.send(send)

        return filtered

    async def _page(self, app: App, scope: Scope, receive: Receive, pages: Pages) -> Answer:
        """MLflow's pages, one after the other, until one of ours is full and the next one has an element."""
        kept: list[Any] = []
        position, wanted = pages.start, pages.wanted
        for _ in range(SCANNED_PAGES):
            request = as_request(scope["method"], pages.asking_for(position.token))
            answer = await answer_of(app, *request.applied(scope, receive))
            if answer.refuses:
                return answer
            document = await self._document(answer)
            items, following = self._items(document), self._following(document)
            wanted = wanted or (len(items) if following else None)
            for index, item in enumerate(items[position.skip :], position.skip):
                if not self._may_see(item):
                    continue
                if len(kept) == wanted:
                    next_token = token_of(
                        Position(position.token, index), pages.seal, bound_to=pages.bound_to
                    )
                    return answer.with_content(self._written(document, kept, next_token))
                kept.append(item)
            if not following or not self.allowed:
                return answer.with_content(self._written(document, kept, None))
            position = Position(following)
        next_token = token_of(position, pages.seal, bound_to=pages.bound_to)
        return answer.with_content(self._written(document, kept, next_token))

    async def _document(self, answer: Answer) -> dict[str, Any]:
        try:
            document = (
                json.loads(answer.content)
                if len(answer.content) < _ELSEWHERE
                else await asyncio.to_thread(json.loads, answer.content)
            )
        except (ValueError, RecursionError):
            raise UnreadableAnswerError from None
        if not isinstance(document, dict):
            raise UnreadableAnswerError
        return document

    def _items(self, document: Mapping[str, Any]) -> list[Any]:
        # MLflow leaves an empty list out.
        items = document.get(self.items, [])
        if not isinstance(items, list):
            raise UnreadableAnswerError
        return items

    def _following(self, document: Mapping[str, Any]) -> str:
        token = document.get(NEXT_PAGE_TOKEN) or ""
        if not isinstance(token, str):
            raise UnreadableAnswerError
        return token

    def _may_see(self, item: object) -> bool:
        """What has no identity is not shown: a job without an experiment. Without the field it is no item."""
        if not isinstance(item, dict) or self.identity[0] not in item:
            raise UnreadableAnswerError
        value: object = item
        for step in self.identity:
            value = value.get(step) if isinstance(value, dict) else None
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        return isinstance(value, str) and value in self.allowed

    def _written(self, document: Mapping[str, Any], items: list[Any], token: str | None) -> bytes:
        rest = {name: value for name, value in document.items() if name in _HARMLESS}
        following = {NEXT_PAGE_TOKEN: token} if token else {}
        return json.dumps({**rest, self.items: items, **following}).encode()
