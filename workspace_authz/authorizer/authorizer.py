"""May they? The API server's answer to one question, remembered as long as DESIGN.md allows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

from workspace_authz.aio.cache import ExpiringCache
from workspace_authz.aio.coalesce import Coalescer
from workspace_authz.authorizer.early import EarlyQuestions
from workspace_authz.authorizer.held import HeldRules
from workspace_authz.authorizer.memory import Lifetimes, stable
from workspace_authz.kubernetes.reviews import AccessAnswer, Reviews
from workspace_authz.types import (
    USABLE,
    USE,
    Attributes,
    Caller,
    Decision,
    Outcome,
    Resource,
    Source,
    UserInfo,
    Verb,
)


class Authorizer:
    """Asks SelfSubjectAccessReviews with the caller's own token. Errors are raised and never remembered.

    ``strangers`` is asked where it is not known yet whose the token is.
    """

    def __init__(
        self,
        reviews: Reviews,
        *,
        strangers: Reviews | None = None,
        monotonic: Callable[[], float],
        lifetimes: Lifetimes,
        size: int = 50_000,
        concurrency: int = 32,
    ) -> None:
        self._reviews = reviews
        self._lifetimes = lifetimes
        self._concurrency = concurrency
        self._decisions: ExpiringCache[tuple[UserInfo, Attributes], Decision] = ExpiringCache(
            size=size, monotonic=monotonic
        )
        self._asking: Coalescer[tuple[UserInfo, Attributes], Decision] = Coalescer()
        self.held = HeldRules(reviews, monotonic=monotonic, lifetimes=lifetimes, size=size)
        self._early: EarlyQuestions[AccessAnswer] = EarlyQuestions((strangers or reviews).may)

    def early(self, token: str, attributes: Attributes) -> AbstractContextManager[None]:
        """Ask with a token whose owner is being asked for; :meth:`authorize` within the block joins it."""
        return self._early.asking(token, attributes)

    async def authorize(self, caller: Caller, attributes: Attributes) -> Decision:
        """The API server's answer for ``attributes``; raises ``UnavailableError`` when there is none."""
        key = (stable(caller.user), attributes)
        known = self._decisions.get(key)
        if known is not None:
            return known
        return await self._asking.share(key, lambda: self._review(key, caller.token))

    async def _review(self, key: tuple[UserInfo, Attributes], token: str) -> Decision:
        answer = await (self._early.join(token, key[1]) or self._reviews.may(token, key[1]))
        if answer.allowed:
            outcome, seconds = Outcome.ALLOW, self._lifetimes.allow
        else:
            outcome = Outcome.DENY if answer.denied else Outcome.NO_OPINION
            seconds = self._lifetimes.deny
        self._decisions.put(key, Decision(outcome, Source.CACHE), seconds=seconds)
        return Decision(outcome, Source.REVIEW)

    async def holds_any_right(self, caller: Caller, namespace: str) -> bool:
        """Whether the caller holds some MLflow right in ``namespace``, on every object or a named one."""
        answer = await self.held.of(caller, namespace)
        if answer.rules or not answer.incomplete:
            return bool(answer.rules)
        # A webhook authorizer cannot enumerate: ask for each right there is.
        return await self._holds_one_of(caller, _every_question(namespace))

    async def _holds_one_of(self, caller: Caller, questions: Iterable[Attributes]) -> bool:
        for question in questions:
            if (await self.authorize(caller, question)).outcome is Outcome.ALLOW:
                return True
        return False

    async def namespaces_with_rights(self, caller: Caller, namespaces: Iterable[str]) -> frozenset[str]:
        """Those of ``namespaces`` in which the caller holds some MLflow right; concurrently, bounded."""
        gate = asyncio.Semaphore(self._concurrency)

        async def ask(namespace: str) -> str | None:
            async with gate:
                return namespace if await self.holds_any_right(caller, namespace) else None

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(ask(namespace)) for namespace in namespaces]
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return frozenset(name for task in tasks if (name := task.result()) is not None)


def _every_question(namespace: str) -> Iterable[Attributes]:
    """Every broad right there is, the usual ones first."""
    for verb in (Verb.LIST, Verb.GET, Verb.CREATE, Verb.UPDATE, Verb.DELETE):
        for resource in Resource:
            yield Attributes(namespace, verb, resource)
    for resource in sorted(USABLE):
        yield Attributes(namespace, Verb.CREATE, resource, USE)
