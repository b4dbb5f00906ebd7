"""On which names a caller without the broad right could hold it. A source only selects what to ask.

Every name is confirmed by an access review before anything is shown (docs/architecture.md), so a source may
name too many. What it leaves out is not listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from workspace_authz.authorizer.authorizer import Authorizer
from workspace_authz.authorizer.rules import granted_names
from workspace_authz.types import Attributes, Caller


class NameSource(Protocol):
    """Knows on which names a caller could hold a right."""

    async def candidates(self, caller: Caller, broad: Attributes) -> frozenset[str] | None:
        """The names on which ``caller`` may hold ``broad``, which has no name itself.

        None when this source cannot tell; empty when it can, and there is none. Raises ``UnavailableError``
        when the API server gives no answer, and ``UnauthenticatedError`` when it does not accept the caller's
        credential any more.
        """


@dataclass(frozen=True, slots=True)
class RulesReviewNames:
    """The names in the caller's rules."""

    authorizer: Authorizer

    async def candidates(self, caller: Caller, broad: Attributes) -> frozenset[str] | None:
        """See :class:`NameSource`. Rules that are incomplete and hold no name tell nothing."""
        answer = await self.authorizer.rules(caller, broad.namespace)
        names = granted_names(answer.rules, broad)
        return None if answer.incomplete and not names else names


@dataclass(frozen=True, slots=True)
class NamedRights:
    """The sources of names, in the order in which they are asked."""

    sources: tuple[NameSource, ...]

    async def candidates(self, caller: Caller, broad: Attributes) -> frozenset[str] | None:
        """The answer of the first source that can tell; None when none can. Raises as a source does."""
        for source in self.sources:
            names = await source.candidates(caller, broad)
            if names is not None:
                return names
        return None
