"""Pages of a list that is filtered after MLflow made it: where one ends, sealed for the caller to bring back.

MLflow's own page token is a readable offset into everything that there is. It goes into a token of ours,
which only this server can read and which holds for one caller, workspace and query.
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


class Seal(Protocol):
    """Hides a text and knows it again."""

    def close(self, text: str, *, bound_to: bytes) -> str:
        """``text`` as nobody else can read or change it, in letters that fit into a URL."""

    def open(self, sealed: str, *, bound_to: bytes) -> str | None:
        """The text; None for what was not closed here, or bound to something else."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page begins."""

    token: str = ""
    """MLflow's, of its own page; empty for the first."""
    skip: int = 0
    """Elements of that page which were looked at already."""


def binding(*, username: str, uid: str, workspace: str, operation: str, fields: Mapping[str, Any]) -> bytes:
    """What a token is bound to: who asks, where, and for what."""
    query = {name: value for name, value in fields.items() if name != PAGE_TOKEN}
    text = json.dumps([username, uid, workspace, operation, query], sort_keys=True)
    return hashlib.sha256(text.encode()).digest()


def token_of(position: Position, seal: Seal, *, bound_to: bytes) -> str:
    """``position`` as the caller gets it."""
    return _MARK + seal.close(json.dumps([position.token, position.skip]), bound_to=bound_to)


def position_of(fields: Mapping[str, Any], seal: Seal, *, bound_to: bytes) -> Position:
    """Where the caller wants to begin. Raises :class:`BadRequestError` for a token that is not ours."""
    token = fields.get(PAGE_TOKEN) or ""
    if not token:
        return Position()
    opened = seal.open(token.removeprefix(_MARK), bound_to=bound_to) if is_sealed(token) else None
    if opened is None:
        raise BadRequestError(_NOT_OURS)
    inner, skip = json.loads(opened)
    return Position(inner, skip)


def is_sealed(token: object) -> bool:
    """Whether it looks like one of ours."""
    return isinstance(token, str) and token.startswith(_MARK)


def refuse_sealed(fields: Mapping[str, Any]) -> None:
    """Raise :class:`BadRequestError` where MLflow's own token belongs and one of ours came."""
    if is_sealed(fields.get(PAGE_TOKEN)):
        raise BadRequestError(_NOT_OURS)
