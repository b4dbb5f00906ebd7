"""Reviews asked again where that helps, never too many at once, and not at all while nobody answers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from workspace_authz.aio.clock import Clock
from workspace_authz.aio.gate import Gate
from workspace_authz.errors import OverloadedError, TransientError, UnavailableError
from workspace_authz.kubernetes.access_reviews import Target
from workspace_authz.kubernetes.circuit_breaker import CircuitBreaker
from workspace_authz.kubernetes.reviews import NO_ANSWER, AccessAnswer, Reviews, RulesAnswer
from workspace_authz.kubernetes.subject_reviews import SubjectReviews
from workspace_authz.kubernetes.token_reviews import TokenReviews
from workspace_authz.telemetry.metrics import Metrics, NoMetrics
from workspace_authz.types import Attributes, UserInfo

A = TypeVar("A")

_FIRST_DELAY_SECONDS: Final = 0.05
_LONGEST_DELAY_SECONDS: Final = 1.0
_WAITING_PER_PLACE: Final = 16
"""An API server that takes 0.2 s for an answer serves the last in line within the usual 4 s."""

BUSY: Final = "The Kubernetes API server is too slow for all that is asked of it; try again."


class Retrier:
    """Asks a question again after a transient failure. Reviews change nothing, so each may be repeated.

    ``places`` is how many are asked at once, ``seconds`` bounds each with all its tries and its waiting,
    ``jitter`` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        *,
        places: int,
        seconds: float,
        circuit: CircuitBreaker,
        clock: Clock,
        metrics: Metrics,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._gate = Gate(places, waiting=places * _WAITING_PER_PLACE)
        self._seconds = seconds
        self._circuit = circuit
        self._clock = clock
        self._metrics = metrics
        self._jitter = jitter

    async def ask(self, kind: str, question: Callable[[], Awaitable[A]]) -> A:
        """The answer to ``question``, a review of ``kind``.

        Raises :class:`UnavailableError` when the time is over, its subclass :class:`OverloadedError` when too
        many wait or nobody answers, and whatever the last try raised.
        """
        deadline = self._clock.monotonic() + self._seconds
        try:
            async with asyncio.timeout(self._seconds), self._gate.entered(OverloadedError(BUSY)):
                return await self._repeated(kind, question, deadline=deadline)
        except TimeoutError as error:
            raise UnavailableError(NO_ANSWER) from error

    async def _repeated(self, kind: str, question: Callable[[], Awaitable[A]], *, deadline: float) -> A:
        delay = _FIRST_DELAY_SECONDS
        while True:
            try:
                with self._circuit.trial():
                    return await question()
            except TransientError as error:
                pause = (error.after or 0.0) + delay * self._jitter()
                if self._circuit.is_open or self._clock.monotonic() + pause >= deadline:
                    raise
                self._metrics.retried(kind, reason=str(error.status_of_answer or "unreachable"))
            await self._clock.sleep(pause)
            delay = min(2 * delay, _LONGEST_DELAY_SECONDS)


class RetryingReviews:
    """:class:`~workspace_authz.kubernetes.reviews.Reviews` over others, by a :class:`Retrier`."""

    def __init__(self, reviews: Reviews, retrier: Retrier) -> None:
        self._reviews = reviews
        self._retrier = retrier

    async def who(self, token: str) -> UserInfo:
        """See :class:`Reviews`."""
        return await self._retrier.ask("SelfSubjectReview", lambda: self._reviews.who(token))

    async def may(self, token: str, attributes: Attributes) -> AccessAnswer:
        """See :class:`Reviews`."""
        return await self._retrier.ask(
            "SelfSubjectAccessReview", lambda: self._reviews.may(token, attributes)
        )

    async def rules(self, token: str, namespace: str) -> RulesAnswer:
        """See :class:`Reviews`."""
        return await self._retrier.ask(
            "SelfSubjectRulesReview", lambda: self._reviews.rules(token, namespace)
        )

    async def may_do(self, token: str, target: Target) -> AccessAnswer:
        """See :class:`Reviews`."""
        return await self._retrier.ask("SelfSubjectAccessReview", lambda: self._reviews.may_do(token, target))


class RetryingSubjectReviews:
    """:class:`~workspace_authz.kubernetes.subject_reviews.SubjectReviews` over others, by a
    :class:`Retrier`."""

    def __init__(self, reviews: SubjectReviews, retrier: Retrier) -> None:
        self._reviews = reviews
        self._retrier = retrier

    async def may(self, user: UserInfo, attributes: Attributes) -> AccessAnswer:
        """See :class:`SubjectReviews`."""
        return await self._retrier.ask("SubjectAccessReview", lambda: self._reviews.may(user, attributes))

    async def may_do(self, user: UserInfo, target: Target) -> AccessAnswer:
        """See :class:`SubjectReviews`."""
        return await self._retrier.ask("SubjectAccessReview", lambda: self._reviews.may_do(user, target))


class RetryingTokenReviews:
    """:class:`~workspace_authz.kubernetes.token_reviews.TokenReviews` over others, by a :class:`Retrier`."""

    def __init__(self, reviews: TokenReviews, retrier: Retrier) -> None:
        self._reviews = reviews
        self._retrier = retrier

    async def who(self, token: str) -> UserInfo:
        """See :class:`TokenReviews`."""
        return await self._retrier.ask("TokenReview", lambda: self._reviews.who(token))


@dataclass(frozen=True, slots=True)
class ReviewPriorities:
    """Two ways to one API server, so that unverified callers never delay verified ones.

    Each has places and a circuit breaker of its own: a token made up so that it is slow to check must not
    make the API server look down.
    """

    known: Reviews
    unverified: Reviews


def review_priorities(
    reviews: Reviews,
    *,
    places: int,
    seconds: float,
    clock: Clock,
    metrics: Metrics | None = None,
    jitter: Callable[[], float] = random.random,
) -> ReviewPriorities:
    """A quarter of ``places`` is for unverified callers; each review gets ``seconds``."""
    counted = metrics or NoMetrics()

    def retrying(share: int, changed: Callable[[bool], None]) -> Reviews:
        circuit = CircuitBreaker(clock.monotonic, changed=changed)
        retrier = Retrier(
            places=share, seconds=seconds, circuit=circuit, clock=clock, metrics=counted, jitter=jitter
        )
        return RetryingReviews(reviews, retrier)

    unverified = max(1, places // 4)
    return ReviewPriorities(
        known=retrying(max(1, places - unverified), lambda is_open: counted.circuit(is_open=is_open)),
        unverified=retrying(unverified, lambda _: None),
    )


def retrying_subject_reviews(
    reviews: SubjectReviews, *, places: int, seconds: float, clock: Clock, metrics: Metrics | None = None
) -> RetryingSubjectReviews:
    """``reviews`` with retries and a circuit breaker of their own; each review gets ``seconds``."""
    return RetryingSubjectReviews(
        reviews, _retrier(places=places, seconds=seconds, clock=clock, metrics=metrics)
    )


def retrying_token_reviews(
    reviews: TokenReviews, *, places: int, seconds: float, clock: Clock, metrics: Metrics | None = None
) -> RetryingTokenReviews:
    """As :func:`retrying_subject_reviews`."""
    return RetryingTokenReviews(
        reviews, _retrier(places=places, seconds=seconds, clock=clock, metrics=metrics)
    )


def _retrier(*, places: int, seconds: float, clock: Clock, metrics: Metrics | None) -> Retrier:
    circuit = CircuitBreaker(clock.monotonic, changed=lambda _: None)
    return Retrier(
        places=places, seconds=seconds, circuit=circuit, clock=clock, metrics=metrics or NoMetrics()
    )
