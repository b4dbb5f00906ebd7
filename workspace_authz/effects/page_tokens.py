"""Page tokens of a list that is filtered after MLflow made it.

MLflow's own page token is a readable offset into everything that there is. It goes into a token of ours,
which is encrypted and holds for one caller, workspace and query.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from workspace_authz.errors import BadRequestError

PAGE_TOKEN: Final = "page_token"  # noqa: S105 - the name of a field
NEXT_PAGE_TOKEN: Final = "next_page_token"  # noqa: S105 - the name of a field
MAX_RESULTS: Final = "max_results"

_NOT_OURS: Final = (
    "The page token is not of this list: it belongs to another query or another caller, "
    "or the server has started anew. Begin with the first page."
)
_MARK: Final = "wsa."
"""No base64 holds a dot, and so no token of MLflow's."""


class PageTokenCipher(Protocol):
    """Encrypts and authenticates a text."""

    def encrypt(self, text: str, *, bound_to: bytes) -> str:
        """``text`` as nobody else can read or change it, in letters that fit into a URL."""

    def decrypt(self, sealed: str, *, bound_to: bytes) -> str | None:
        """The text; None for what was not encrypted with this key, or is bound to something else."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page begins."""

    token: str = ""
    """MLflow's, of its own page; empty for the first."""
    skip: int = 0
    """Elements of that page which were looked at already."""


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a page token is bound to: who asks, where, and for what."""

    username: str
    uid: str
    workspace: str
    operation: str
    fields: Mapping[str, Any]

    def digest(self) -> bytes:
        """A short form, without the page token itself."""
        query = {name: value for name, value in self.fields.items() if name != PAGE_TOKEN}
        text = json.dumps([self.username, self.uid, self.workspace, self.operation, query], sort_keys=True)
        return hashlib.sha256(text.encode()).digest()


def token_of(position: Position, cipher: PageTokenCipher, *, bound_to: bytes) -> str:
    """``position`` as the caller gets it."""
    return _MARK + cipher.encrypt(json.dumps([position.token, position.skip]), bound_to=bound_to)


def position_of(fields: Mapping[str, Any], cipher: PageTokenCipher, *, bound_to: bytes) -> Position:
    """Where the caller wants to begin. Raises :class:`BadRequestError` for a token that is not ours."""
    token = fields.get(PAGE_TOKEN) or ""
    if not token:
        return Position()
    text = cipher.decrypt(token.removeprefix(_MARK), bound_to=bound_to) if is_ours(token) else None
    if text is None:
        raise BadRequestError(_NOT_OURS)
    inner, skip = json.loads(text)
    return Position(inner, skip)


def is_ours(token: object) -> bool:
    """Whether a page token looks like one of ours."""
    return isinstance(token, str) and token.startswith(_MARK)


def refuse_ours(fields: Mapping[str, Any]) -> None:
    """Raise :class:`BadRequestError` where MLflow's own token belongs and one of ours came."""
    if is_ours(fields.get(PAGE_TOKEN)):
        raise BadRequestError(_NOT_OURS)
