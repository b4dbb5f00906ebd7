"""A caller's rules in a namespace, as far as they are MLflow's: asked once, remembered a while."""

from __future__ import annotations

from collections.abc import Callable

from workspace_authz.authorizer.coherence import Coherence
from workspace_authz.authorizer.memory import Lifetimes, Memory, stable
from workspace_authz.authorizer.rules import mlflow_rules
from workspace_authz.kubernetes.reviews import Reviews, RulesAnswer
from workspace_authz.types import Caller, UserInfo

_Key = tuple[UserInfo, str]


class HeldRules:
    """Asks SelfSubjectRulesReviews with the caller's own token. Errors are raised and never remembered."""

    def __init__(
        self,
        reviews: Reviews,
        *,
        coherence: Coherence,
        monotonic: Callable[[], float],
        lifetimes: Lifetimes,
        size: int = 50_000,
    ) -> None:
        self._reviews = reviews
        self._memory: Memory[_Key, RulesAnswer] = Memory(
            coherence,
            yes=lambda answer: bool(answer.rules),
            monotonic=monotonic,
            lifetimes=lifetimes,
            size=size,
        )
        self.numbers = self._memory.numbers("rules")

    async def of(self, caller: Caller, namespace: str) -> RulesAnswer:
        """The rules that grant some MLflow right in ``namespace``."""
        key = (stable(caller.user), namespace)
        known = self._memory.get(key, namespace)
        if known is not None:
            return known
        return await self._memory.share(
            key,
            namespace,
            lambda: self._memory.timed(namespace, self._review(caller.token, namespace)),
            token=caller.token,
        )

    async def _review(self, token: str, namespace: str) -> RulesAnswer:
        answer = await self._reviews.rules(token, namespace)
        return RulesAnswer(mlflow_rules(answer.rules), answer.incomplete)
