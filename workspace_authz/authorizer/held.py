"""A caller's rules in a namespace, as far as they are MLflow's: asked once, remembered a while."""

from __future__ import annotations

from collections.abc import Callable

from workspace_authz.aio.cache import ExpiringCache
from workspace_authz.aio.coalesce import Coalescer
from workspace_authz.authorizer.memory import Lifetimes, stable
from workspace_authz.authorizer.rules import mlflow_rules
from workspace_authz.kubernetes.reviews import Reviews, RulesAnswer
from workspace_authz.types import Caller, UserInfo

_Key = tuple[UserInfo, str]


class HeldRules:
    """Asks SelfSubjectRulesReviews with the caller's own token. Errors are raised and never remembered."""

    def __init__(
        self, reviews: Reviews, *, monotonic: Callable[[], float], lifetimes: Lifetimes, size: int = 50_000
    ) -> None:
        self._reviews = reviews
        self._lifetimes = lifetimes
        self._answers: ExpiringCache[_Key, RulesAnswer] = ExpiringCache(size=size, monotonic=monotonic)
        self._asking: Coalescer[_Key, RulesAnswer] = Coalescer()

    async def of(self, caller: Caller, namespace: str) -> RulesAnswer:
        """The rules that grant some MLflow right in ``namespace``."""
        key = (stable(caller.user), namespace)
        known = self._answers.get(key)
        if known is not None:
            return known
        return await self._asking.share(key, lambda: self._review(key, caller.token))

    async def _review(self, key: _Key, token: str) -> RulesAnswer:
        answer = await self._reviews.rules(token, key[1])
        held = RulesAnswer(mlflow_rules(answer.rules), answer.incomplete)
        seconds = self._lifetimes.allow if held.rules else self._lifetimes.deny
        self._answers.put(key, held, seconds=seconds)
        return held
