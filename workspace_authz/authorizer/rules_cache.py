"""A caller's rules in a namespace, as far as they are MLflow's: asked once, remembered a while."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.prefetch import Prefetcher
from workspace_authz.authorizer.review_cache import Asked, Lifetimes, ReviewCache, stable
from workspace_authz.authorizer.rules import mlflow_rules
from workspace_authz.kubernetes.reviews import Reviews, RulesAnswer
from workspace_authz.types import Caller, UserInfo

_Key = tuple[UserInfo, str]


class RulesCache:
    """Asks SelfSubjectRulesReviews with the caller's own token. Errors are raised and never remembered.

    ``unverified`` is asked where it is not known yet whose the token is.
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
    ) -> None:
        self._reviews = reviews
        self._memory: ReviewCache[_Key, RulesAnswer] = ReviewCache(
            generations,
            yes=lambda answer: bool(answer.rules),
            monotonic=monotonic,
            lifetimes=lifetimes,
            size=size,
        )
        self._early: Prefetcher[str, Asked[RulesAnswer]] = Prefetcher(
            partial(self._ask, unverified or reviews)
        )
        self.statistics = self._memory.statistics("rules")

    def early(self, token: str, namespace: str) -> AbstractContextManager[None]:
        """Ask with a token whose owner is being asked for; :meth:`of` within the block joins it."""
        return self._early.asking(token, namespace)

    async def of(self, caller: Caller, namespace: str) -> RulesAnswer:
        """The rules that grant some MLflow right in ``namespace``."""
        key = (stable(caller.user), namespace)
        known = self._memory.get(key, namespace)
        if known is not None:
            return known
        return await self._memory.share(
            key,
            namespace,
            lambda: self._ask(self._reviews, caller.token, namespace),
            token=caller.token,
            begun=lambda: self._early.join(caller.token, namespace),
        )

    async def _ask(self, reviews: Reviews, token: str, namespace: str) -> Asked[RulesAnswer]:
        return await self._memory.timed(namespace, _review(reviews, token, namespace))


async def _review(reviews: Reviews, token: str, namespace: str) -> RulesAnswer:
    answer = await reviews.rules(token, namespace)
    return RulesAnswer(mlflow_rules(answer.rules), answer.incomplete)
