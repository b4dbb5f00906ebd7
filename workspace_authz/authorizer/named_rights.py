"""Which names a caller without the broad right could hold it on. A source only chooses what to ask.

Every name is confirmed by an access review before anything is shown (DESIGN.md, "Kubernetes decides"), so a
source may say too much; what it leaves out is not listed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from workspace_authz.authorizer.authorizer import Authorizer
from workspace_authz.authorizer.rules import granted_names
from workspace_authz.authorizer.rules_cache import RulesCache
from workspace_authz.types import Attributes, Caller, Decision

CONCURRENT_QUESTIONS: Final = 32
"""Of one request; there are more connections than that, so that others get theirs."""


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

    held: RulesCache

    async def candidates(self, caller: Caller, broad: Attributes) -> frozenset[str] | None:
        """See :class:`NameSource`. Rules that are incomplete and hold no name tell nothing."""
        answer = await self.held.of(caller, broad.namespace)
        names = granted_names(answer.rules, broad)
        return None if answer.incomplete and not names else names


@dataclass(frozen=True, slots=True)
class NamedRights:
    """What a caller may do with single objects."""

    authorizer: Authorizer
    sources: tuple[NameSource, ...]
    """In the order in which they are believed."""

    async def candidates(self, caller: Caller, broad: Attributes) -> frozenset[str] | None:
        """The answer of the first source that can tell; None when none can."""
        for source in self.sources:
            names = await source.candidates(caller, broad)
            if names is not None:
                return names
        return None

    async def decisions(
        self, caller: Caller, broad: Attributes, names: Iterable[str]
    ) -> Mapping[Attributes, Decision]:
        """``broad`` asked for each of ``names``: concurrently, bounded. All are answered, or it raises."""
        gate = asyncio.Semaphore(CONCURRENT_QUESTIONS)
        questions = [replace(broad, name=name) for name in sorted(names)]

        async def ask(question: Attributes) -> Decision:
            async with gate:
                return await self.authorizer.authorize(caller, question)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(ask(question)) for question in questions]
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return {question: task.result() for question, task in zip(questions, tasks, strict=True)}
