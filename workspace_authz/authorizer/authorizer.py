"""May they? The API server's answer to one question, remembered as long as DESIGN.md allows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractContextManager
from functools import partial

from workspace_authz.authorizer.candidates import CandidateSource
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.prefetch import AnyRightIn, Prefetcher
from workspace_authz.authorizer.review_cache import Asked, Lifetimes, ReviewCache, stable
from workspace_authz.authorizer.rules import every_question
from workspace_authz.authorizer.rules_cache import RulesCache
from workspace_authz.kubernetes.reviews import AccessAnswer, Reviews
from workspace_authz.types import Attributes, Caller, Decision, Outcome, Source, UserInfo


class Authorizer:
    """Asks SelfSubjectAccessReviews with the caller's own token. Errors are raised and never remembered.

    ``unverified`` is asked where it is not known yet whose the token is. ``candidates`` chooses in which
    namespaces to look for a caller's rights; without it, and where it cannot tell, in all of them.
    """

    def __init__(
        self,
        reviews: Reviews,
        *,
        generations: Generations,
        unverified: Reviews | None = None,
        monotonic: Callable[[], float],
        lifetimes: Lifetimes,
        size: int = 50_000,
        concurrency: int = 32,
        candidates: CandidateSource | None = None,
    ) -> None:
        self._reviews = reviews
        self._candidates = candidates
        self._concurrency = concurrency
        self._memory: ReviewCache[tuple[UserInfo, Attributes], AccessAnswer] = ReviewCache(
            generations,
            yes=lambda answer: answer.allowed,
            monotonic=monotonic,
            lifetimes=lifetimes,
            size=size,
        )
        self.held = RulesCache(
            reviews,
            generations=generations,
            unverified=unverified,
            monotonic=monotonic,
            lifetimes=lifetimes,
            size=size,
        )
        self._early: Prefetcher[Attributes, Asked[AccessAnswer]] = Prefetcher(
            partial(self._ask, unverified or reviews)
        )
        self.statistics = (self._memory.statistics("decisions"), self.held.statistics)

    def early(self, token: str, question: Attributes | AnyRightIn) -> AbstractContextManager[None]:
        """Ask with a token whose owner is being asked for.

        Within the block :meth:`authorize` and :meth:`holds_any_right` join it.
        """
        if isinstance(question, AnyRightIn):
            return self.held.early(token, question.namespace)
        return self._early.asking(token, question)

    async def authorize(self, caller: Caller, attributes: Attributes) -> Decision:
        """The API server's answer for ``attributes``; raises ``UnavailableError`` when there is none."""
        key, namespace = (stable(caller.user), attributes), attributes.namespace
        known = self._memory.get(key, namespace)
        if known is not None:
            return _decision(known, Source.CACHE)
        asked = await self._memory.share(
            key,
            namespace,
            lambda: self._ask(self._reviews, caller.token, attributes),
            token=caller.token,
            begun=lambda: self._early.join(caller.token, attributes),
        )
        return _decision(asked, Source.REVIEW)

    async def _ask(self, reviews: Reviews, token: str, attributes: Attributes) -> Asked[AccessAnswer]:
        return await self._memory.timed(attributes.namespace, reviews.may(token, attributes))

    async def holds_any_right(self, caller: Caller, namespace: str) -> bool:
        """Whether the caller holds some MLflow right in ``namespace``, on every object or a named one."""
        answer = await self.held.of(caller, namespace)
        if answer.rules or not answer.incomplete:
            return bool(answer.rules)
        # A webhook authorizer cannot enumerate: ask for each right there is.
        return await self._holds_one_of(caller, every_question(namespace))

    async def _holds_one_of(self, caller: Caller, questions: Iterable[Attributes]) -> bool:
        for question in questions:
            if (await self.authorize(caller, question)).outcome is Outcome.ALLOW:
                return True
        return False

    async def namespaces_with_rights(self, caller: Caller, namespaces: Iterable[str]) -> frozenset[str]:
        """Those of ``namespaces`` in which the caller holds some MLflow right; concurrently, bounded."""
        names = frozenset(namespaces)
        candidates = self._candidates.of(caller.user, names) if self._candidates is not None else None
        if candidates is None:
            return await self._select(names, lambda name: self.holds_any_right(caller, name))
        if await self._holds_one_of(caller, candidates.everywhere):
            return names
        return await self._select(
            candidates.namespaces, lambda name: self._holds_one_of(caller, candidates.questions(name))
        )

    async def _select(
        self, namespaces: Iterable[str], holds: Callable[[str], Awaitable[bool]]
    ) -> frozenset[str]:
        waiting, found = iter(namespaces), set[str]()

        async def work() -> None:
            for name in waiting:
                if await holds(name):
                    found.add(name)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._concurrency):
                    group.create_task(work())
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return frozenset(found)


def _decision(answer: AccessAnswer, source: Source) -> Decision:
    if answer.allowed:
        return Decision(Outcome.ALLOW, source)
    return Decision(Outcome.DENY if answer.denied else Outcome.NO_OPINION, source)
