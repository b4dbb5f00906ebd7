"""How a list is kept to the objects that a caller may see who lacks the right to see all of them.

Where MLflow's request can say it, the request is narrowed before MLflow runs: what it names and the caller
may not see is taken out, and a search for everything becomes one for what they may. Where it cannot, or the
MLflow at hand does not understand it yet, the answer is filtered. All of it is data; enforcement carries
it out.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clause:
    """``<key> IN (…)``, put before the filter that the caller sent."""

    field: str
    """The field of the request that holds the filter."""
    key: str
    """The attribute that MLflow compares: of the name, or of what the answer's source identifies."""

    def __str__(self) -> str:
        return f"{self.field} {self.key} IN"


@dataclass(frozen=True, slots=True)
class Listing:
    """Belongs to a requirement, whose names say what in the request or the answer identifies an object.

    A request that names objects keeps those that may be seen. One that names none is narrowed by
    ``inject`` or ``clause``, or else its answer is filtered.
    """

    inject: str = ""
    """The field of a list of ids, where MLflow takes its absence for all that there are."""
    clause: Clause | None = None
    paged: bool = False
    """The answer comes in pages: ``max_results`` and ``page_token``, then ``next_page_token``."""

    def __str__(self) -> str:
        ways = [
            *([f"{self.inject} put in"] if self.inject else []),
            *([str(self.clause)] if self.clause else []),
            *(["paged"] if self.paged else []),
        ]
        return "kept to the allowed" + (f": {', '.join(ways)}" if ways else "")
