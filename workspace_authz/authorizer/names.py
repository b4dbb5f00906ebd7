"""Which names a caller without the broad right could hold it on. A source only chooses what to ask.

Every name is confirmed by an access review before anything is shown (DESIGN.md, "Kubernetes decides"), so a
source may say too much; what it leaves out is not listed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from workspace_authz.authorizer.held import HeldRules
from workspace_authz.authorizer.rules import granted_names
from workspace_authz.types import Attributes, Caller


class NameSource(Protocol):
    """Knows on which names a caller could hold a right."""

    async def candidates(self, caller: Caller, broad: Attributes) -> frozenset[str] | None:
        """The names on which ``caller`` may hold ``broad``, which has none itself.

        None when this source cannot tell; empty when it can, and there is none. Raises ``UnavailableError``
        when the API server gives no answer.
        """


@dataclass(frozen=True, slots=True)
class RulesReviewNames:
    """The names in the caller's SelfSubjectRulesReview, which needs a token of theirs."""

    held: HeldRules

    async def candidates(self, caller: Caller, broad: Attributes) -> frozenset[str] | None:
        """See :class:`NameSource`. Rules that are incomplete and hold no name tell nothing."""
        answer = await self.held.of(caller, broad.namespace)
        names = granted_names(answer.rules, broad)
        return None if answer.incomplete and not names else names


async def candidates_of(
    sources: Iterable[NameSource], caller: Caller, broad: Attributes
) -> frozenset[str] | None:
    """The answer of the first source that can tell; None when none can."""
    for source in sources:
        names = await source.candidates(caller, broad)
        if names is not None:
            return names
    return None
