"""What a verdict does to a request that passes and to MLflow's answer: frozen values that a door applies."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from workspace_authz.effects.graphql_answers import ElementFilter
from workspace_authz.effects.headers import HeaderSanitizer
from workspace_authz.effects.lists import AnswerFilter
from workspace_authz.effects.rewriting import RequestReplacement
from workspace_authz.types import UserInfo
from workspace_authz.workspaces.in_url import UrlWorkspace

SHOWN_NAMES: Final = 20
"""Names of a narrowed list in an audit record."""


class EffectKind(StrEnum):
    """The kinds of effects. A door that cannot apply one refuses the request."""

    HEADERS = "headers"
    """Credentials go, and the checked workspace comes."""
    PATH = "path"
    """MLflow gets the path without the workspace in it."""
    EMPTY_BODY = "empty body"
    """MLflow gets no body, whatever was sent."""
    CALLER = "caller"
    """MLflow's own hooks learn who the caller is."""
    VISIBLE_WORKSPACES = "visible workspaces"
    """A list of workspaces is kept to these."""
    REQUEST = "request"
    """MLflow gets another body or query."""
    ANSWER = "answer"
    """MLflow's answer is filtered."""
    SELF_CALLS = "self-calls"
    """MLflow may call this server while it serves the request."""


@dataclass(frozen=True, slots=True)
class Narrowing:
    """A list is kept to what the caller may see, by a narrower request or by a filtered answer."""

    resource: str
    names: tuple[str, ...]
    """The names of the objects that may be seen."""
    request: RequestReplacement | None = None
    """None: MLflow gets the request as it is."""
    answer: AnswerFilter | ElementFilter | None = None

    @property
    def where(self) -> str:
        """What becomes shorter: ``request`` or ``answer``."""
        return "answer" if self.answer else "request"

    def record(self) -> dict[str, Any]:
        """The narrowing as an audit record shows it."""
        return {
            "resource": self.resource,
            "names": list(self.names[:SHOWN_NAMES]),
            "count": len(self.names),
            "in": self.where,
        }


@dataclass(frozen=True, slots=True)
class Effects:
    """All effects of one verdict."""

    headers: HeaderSanitizer = field(default_factory=HeaderSanitizer)
    url: UrlWorkspace | None = None
    """None: MLflow gets the path as it is."""
    empty_body: bool = False
    caller: UserInfo | None = None
    visible: frozenset[str] | None = None
    """None: the request lists no workspaces."""
    replacement: RequestReplacement | None = None
    narrowing: Narrowing | None = None
    self_calls: bool = False

    @property
    def kinds(self) -> frozenset[EffectKind]:
        """What a door must be able to apply."""
        needed = {
            EffectKind.PATH: self.url is not None,
            EffectKind.EMPTY_BODY: self.empty_body,
            EffectKind.CALLER: self.caller is not None,
            EffectKind.VISIBLE_WORKSPACES: self.visible is not None,
            EffectKind.REQUEST: self.replacement is not None,
            EffectKind.ANSWER: self.narrowing is not None and self.narrowing.answer is not None,
            EffectKind.SELF_CALLS: self.self_calls,
        }
        return frozenset({EffectKind.HEADERS, *(kind for kind, is_needed in needed.items() if is_needed)})
