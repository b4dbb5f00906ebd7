"""What a verdict does to a request that passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from workspace_authz.aio.asgi import App
from workspace_authz.effects.graphql_answers import ElementFilter
from workspace_authz.effects.lists import AnswerFilter
from workspace_authz.effects.replacement import Replacement

SHOWN: Final = 20
"""Names in a record."""


@dataclass(frozen=True, slots=True)
class Narrowing:
    """A list is kept to what the caller may see: by a request for less, or an answer with less in it."""

    resource: str
    names: tuple[str, ...]
    """Of the objects that may be seen."""
    request: Replacement | None = None
    """None: the request asks for nothing else."""
    answer: AnswerFilter | ElementFilter | None = None

    def around(self, app: App) -> App:
        """``app`` with its answer filtered, where that is the way."""
        return app if self.answer is None else self.answer.around(app)

    @property
    def where(self) -> str:
        """What was made less: ``request`` or ``answer``."""
        return "answer" if self.answer else "request"

    def record(self) -> dict[str, Any]:
        """As the audit trail shows it."""
        return {
            "resource": self.resource,
            "names": list(self.names[:SHOWN]),
            "count": len(self.names),
            "in": self.where,
        }
