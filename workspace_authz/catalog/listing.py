"""How a list is restricted for a caller who may see some objects but not all.

If possible, the request is narrowed before MLflow runs: names that the caller may not see are removed, and a
search for everything becomes a search for what the caller may see. Otherwise the response is filtered. The
values here are data; :mod:`workspace_authz.effects` applies them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clause:
    """The condition ``<key> IN (…)``, which is added to the filter that the caller sent."""

    field: str
    """The field of the request that holds the filter."""
    key: str
    """The attribute that MLflow compares: the name, or the id that the response's name source identifies."""

    def __str__(self) -> str:
        return f"{self.field} {self.key} IN"


@dataclass(frozen=True, slots=True)
class Listing:
    """How the list of one requirement is restricted.

    The requirement's ``names`` say which fields of the request or the response identify an object. A request
    that names objects keeps those that the caller may see. A request that names none is narrowed by
    ``inject`` or ``clause``; without either, its response is filtered.
    """

    inject: str = ""
    """The request's list of ids to fill in, where MLflow lists everything when the field is absent."""
    clause: Clause | None = None
    paged: bool = False
    """The response has pages: ``max_results`` and ``page_token`` in, ``next_page_token`` out."""

    def __str__(self) -> str:
        ways = [
            *([f"{self.inject} put in"] if self.inject else []),
            *([str(self.clause)] if self.clause else []),
            *(["paged"] if self.paged else []),
        ]
        return "kept to the allowed" + (f": {', '.join(ways)}" if ways else "")
