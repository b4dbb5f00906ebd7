"""May they? The API server's answers to questions about a caller, cached while they hold."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from workspace_authz.aio.fan_out import fan_out
from workspace_authz.authorizer.candidates import CandidateSource
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.prefetch import AnyRightIn
from workspace_authz.authorizer.review_cache import Ask, Lifetimes, ReviewCache
from workspace_authz.authorizer.reviewers import Reviewers, bearer_token
from workspace_authz.authorizer.rules import every_question, mlflow_rules
from workspace_authz.kubernetes import access_reviews
from workspace_authz.kubernetes.access_reviews import Target
from workspace_authz.kubernetes.credentials import BearerToken
from workspace_authz.kubernetes.reviews import AccessAnswer, RulesAnswer
from workspace_authz.types import Attributes, Caller, Credential, Decision, Outcome, Source

_RBAC: Final = "rbac.authorization.k8s.io"

CONCURRENT_QUESTIONS: Final = 32
"""Of one request. There are more connections than that, so that other requests get theirs."""


class Authorizer:
    """Asks the API server what a caller may do. Errors are raised and never cached.

    ``candidates`` selects in which namespaces to look for a caller's rights. Without it, and where it cannot
    tell, all of them are asked about.
    """

    def __init__(
        self,
        reviewers: Reviewers,
        *,
        generations: Generations,
        monotonic: Callable[[], float],
        lifetimes: Lifetimes,
        size: int = 50_000,
        candidates: CandidateSource | None = None,
    ) -> None:
        self._reviewers = reviewers
        self._candidates = candidates
        self._decisions: ReviewCache[Attributes, AccessAnswer] = ReviewCache(
            _access(reviewers), generations=generations, lifetimes=lifetimes, monotonic=monotonic, size=size
        )
        self._rules: ReviewCache[AnyRightIn, RulesAnswer] = ReviewCache(
            _rules(reviewers), generations=generations, lifetimes=lifetimes, monotonic=monotonic, size=size
        )
        self.statistics = (self._decisions.statistics("decisions"), self._rules.statistics("rules"))

    def prefetch(
        self, credential: Credential, question: Attributes | AnyRightIn
    ) -> AbstractContextManager[None]:
        """Ask with a credential whose owner is being asked for.

        Within the block :meth:`authorize` and :meth:`holds_any_right` join the question. Nothing is asked for
        a credential without a token: only a token tells the API server by itself who the caller is.
        """
        if not isinstance(credential, BearerToken):
            return nullcontext()
        if isinstance(question, AnyRightIn):
            return self._rules.prefetch(credential, question)
        return self._decisions.prefetch(credential, question)

    async def authorize(self, caller: Caller, attributes: Attributes) -> Decision:
        """The API server's answer for ``attributes``.

        Raises ``UnavailableError`` when there is none, and ``UnauthenticatedError`` when the API server does
        not accept the caller's credential any more.
        """
        cached = self._decisions.get(caller.user, attributes)
        if cached is not None:
            return _decision(cached, Source.CACHE)
        return _decision(await self._decisions.review(caller, attributes), Source.REVIEW)

    async def authorize_all(
        self, caller: Caller, questions: Iterable[Attributes]
    ) -> Mapping[Attributes, Decision]:
        """The answer for each of ``questions``, concurrently and bounded.

        All are answered, or it raises as :meth:`authorize`.
        """
        asked = list(dict.fromkeys(questions))
        decisions = await fan_out(
            asked, lambda question: self.authorize(caller, question), limit=CONCURRENT_QUESTIONS
        )
        return dict(zip(asked, decisions, strict=True))

    async def may_get(self, caller: Caller, path: str) -> bool:
        """Whether the caller may get the non-resource URL ``path``. Asked anew each time.

        Raises as :meth:`authorize`.
        """
        return await self.may_do(caller, access_reviews.url(path))

    async def may_on_rbac(self, caller: Caller, verb: str, *, resource: str, namespace: str) -> bool:
        """Whether the caller may do ``verb`` to a ``resource`` of RBAC, such as ``rolebindings``.

        An empty ``namespace`` asks for all. Asked anew each time. Raises as :meth:`authorize`.
        """
        return await self.may_do(
            caller, access_reviews.resource(verb, resource, group=_RBAC, namespace=namespace)
        )

    async def may_do(self, caller: Caller, target: Target) -> bool:
        """Whether the caller may do what is no pseudo-resource of MLflow. Asked anew each time.

        Raises as :meth:`authorize`.
        """
        return (await self._reviewers.of(caller).may_do(caller, target)).allowed

    async def rules(self, caller: Caller, namespace: str) -> RulesAnswer:
        """The caller's rules that grant some MLflow right in ``namespace``. Raises as :meth:`authorize`."""
        question = AnyRightIn(namespace)
        cached = self._rules.get(caller.user, question)
        if cached is not None:
            return cached
        reviewer = self._reviewers.of(caller)
        if not reviewer.enumerates:
            # Not cached: the same user may come with a token, whose rules can be listed.
            return await reviewer.rules(caller, namespace)
        return await self._rules.review(caller, question)

    async def holds_any_right(self, caller: Caller, namespace: str) -> bool:
        """Whether the caller holds some MLflow right in ``namespace``, on all objects or on a single one.

        Raises as :meth:`authorize`.
        """
        return await self._holds_any_right(caller, namespace, limit=CONCURRENT_QUESTIONS)

    async def namespaces_with_rights(self, caller: Caller, namespaces: Iterable[str]) -> frozenset[str]:
        """Those of ``namespaces`` in which the caller holds some MLflow right; concurrently and bounded.

        Raises as :meth:`authorize`.
        """
        names = frozenset(namespaces)
        candidates = self._candidates.of(caller.user, names) if self._candidates is not None else None
        if candidates is None:
            # One question at a time in each namespace, so that the bound holds for the whole request.
            return await _select(names, lambda name: self._holds_any_right(caller, name, limit=1))
        if await self._is_allowed_any(caller, candidates.everywhere, limit=1):
            return names
        return await _select(
            candidates.namespaces,
            lambda name: self._is_allowed_any(caller, candidates.questions(name), limit=1),
        )

    async def _holds_any_right(self, caller: Caller, namespace: str, *, limit: int) -> bool:
        answer = await self.rules(caller, namespace)
        if answer.rules or not answer.incomplete:
            return bool(answer.rules)
        # The rules cannot be listed: an authorizer is a webhook, or the caller has no token.
        return await self._is_allowed_any(caller, self._worth_asking(caller, namespace), limit=limit)

    def _worth_asking(self, caller: Caller, namespace: str) -> Iterable[Attributes]:
        """Whoever holds a right in ``namespace`` is allowed one of these questions."""
        if self._candidates is not None:
            candidates = self._candidates.of(caller.user, {namespace})
            if candidates is not None:
                return candidates.questions(namespace)
        return every_question(namespace)

    async def _is_allowed_any(self, caller: Caller, questions: Iterable[Attributes], *, limit: int) -> bool:
        allowed = False

        async def ask(question: Attributes) -> None:
            nonlocal allowed
            if not allowed and (await self.authorize(caller, question)).outcome is Outcome.ALLOW:
                allowed = True

        await fan_out(questions, ask, limit=limit)
        return allowed


def _access(reviewers: Reviewers) -> Ask[Attributes, AccessAnswer]:
    return Ask(
        verified=lambda caller, asked: reviewers.of(caller).may(caller, asked),
        unverified=lambda credential, asked: reviewers.unverified.may(bearer_token(credential), asked),
        grants=lambda answer: answer.allowed,
    )


def _rules(reviewers: Reviewers) -> Ask[AnyRightIn, RulesAnswer]:
    """Only the rules that grant some MLflow right are kept."""

    async def verified(caller: Caller, asked: AnyRightIn) -> RulesAnswer:
        return _reduced(await reviewers.of(caller).rules(caller, asked.namespace))

    async def unverified(credential: Credential, asked: AnyRightIn) -> RulesAnswer:
        return _reduced(await reviewers.unverified.rules(bearer_token(credential), asked.namespace))

    return Ask(verified=verified, unverified=unverified, grants=lambda answer: bool(answer.rules))


def _reduced(answer: RulesAnswer) -> RulesAnswer:
    return RulesAnswer(mlflow_rules(answer.rules), answer.incomplete)


async def _select(namespaces: Iterable[str], holds: Callable[[str], Awaitable[bool]]) -> frozenset[str]:
    names = list(namespaces)
    allowed = await fan_out(names, holds, limit=CONCURRENT_QUESTIONS)
    return frozenset(name for name, right in zip(names, allowed, strict=True) if right)


def _decision(answer: AccessAnswer, source: Source) -> Decision:
    if answer.allowed:
        return Decision(Outcome.ALLOW, source)
    return Decision(Outcome.DENY if answer.denied else Outcome.NO_OPINION, source)
