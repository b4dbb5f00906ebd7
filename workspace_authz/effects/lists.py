"""What is left of a list that MLflow made, for a caller who may not see all of it. Pure: a door applies it.

A list is filtered only where MLflow's request cannot say what the caller may see. What cannot be understood
is withheld.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from workspace_authz.catalog.model import skill_name
from workspace_authz.effects.page_tokens import (
    MAX_RESULTS,
    NEXT_PAGE_TOKEN,
    PAGE_TOKEN,
    PageTokenCipher,
    Position,
    token_of,
)
from workspace_authz.effects.rewriting import Fields
from workspace_authz.errors import RequestError

SCANNED_PAGES: Final = 20
"""The most pages of MLflow that one request looks through; then the caller has to come again."""
SCANNED_AT_ONCE: Final = 500
"""Elements of such a page, where the caller wants fewer; each list of MLflow allows as many."""

_KEPT_FIELDS: Final = frozenset({"object"})
"""What else an answer may say: OpenAI's lists say that they are lists. A count would tell too much."""


class UnreadableAnswerError(RequestError):
    """MLflow's answer is not the list that it should be (500)."""

    def __init__(self) -> None:
        super().__init__("MLflow's answer could not be filtered for you, so it is withheld.")


@dataclass(frozen=True, slots=True)
class Pages:
    """How one page of the filtered list is put together from MLflow's pages."""

    fields: Fields
    """The request, without its page token."""
    start: Position
    cipher: PageTokenCipher
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

    def token(self, position: Position) -> str:
        """The page token with which the caller comes back for what begins at ``position``."""
        return token_of(position, self.cipher, bound_to=self.bound_to)


@dataclass(frozen=True, slots=True)
class AnswerFilter:
    """Which elements of MLflow's answer the caller gets."""

    items: str
    """Where the answer has its list."""
    identity: tuple[str, ...]
    """The path, within an element, to what identifies its object."""
    allowed: Collection[str]
    pages: Pages | None = None
    """None for a list that comes at once."""
    organization: str = ""
    """The field of an element that holds the organization of a skill."""

    def filtered(self, document: Mapping[str, Any]) -> bytes:
        """The answer with the allowed elements only. Raises :class:`UnreadableAnswerError`."""
        kept = [item for item in self.elements(document) if self.may_see(item)]
        return self.written(document, kept, token=None)

    def elements(self, document: Mapping[str, Any]) -> list[Any]:
        """The list in an answer; MLflow leaves an empty one out. Raises :class:`UnreadableAnswerError`."""
        items = document.get(self.items, [])
        if not isinstance(items, list):
            raise UnreadableAnswerError
        return items

    def next_token(self, document: Mapping[str, Any]) -> str:
        """MLflow's token of the next page, empty on the last. Raises :class:`UnreadableAnswerError`."""
        token = document.get(NEXT_PAGE_TOKEN) or ""
        if not isinstance(token, str):
            raise UnreadableAnswerError
        return token

    def may_see(self, item: object) -> bool:
        """Whether the caller gets an element. One without identity, as a job without experiment, is hidden.

        Raises :class:`UnreadableAnswerError` for an element that lacks the field.
        """
        if not isinstance(item, dict) or self.identity[0] not in item:
            raise UnreadableAnswerError
        value: object = item
        for step in self.identity:
            value = value.get(step) if isinstance(value, dict) else None
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and self.organization:
            value = skill_name(value, item.get(self.organization) or "")
        return isinstance(value, str) and value in self.allowed

    def written(self, document: Mapping[str, Any], items: list[Any], *, token: str | None) -> bytes:
        """An answer with ``items`` and, if there are more, ``token`` for the next page."""
        kept = {name: value for name, value in document.items() if name in _KEPT_FIELDS}
        following = {NEXT_PAGE_TOKEN: token} if token else {}
        return json.dumps({**kept, self.items: items, **following}).encode()


def read_answer(content: bytes) -> dict[str, Any]:
    """The JSON object of an answer. Raises :class:`UnreadableAnswerError`."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise UnreadableAnswerError from None
    if not isinstance(document, dict):
        raise UnreadableAnswerError
    return document
