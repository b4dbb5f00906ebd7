"""Reviews asked again where that helps, never too many at once, and not at all while nobody answers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from workspace_authz.aio.clock import Clock
from workspace_authz.aio.gate import Gate
from workspace_authz.errors import OverloadedError, TransientError, UnavailableError
from workspace_authz.kubernetes.circuit_breaker import CircuitBreaker
from workspace_authz.kubernetes.reviews import NO_ANSWER, AccessAnswer, Reviews, RulesAnswer, UrlReviews
from workspace_authz.telemetry.metrics import Metrics, NoMetrics
from workspace_authz.types import Attributes, UserInfo

A = TypeVar("A")

_FIRST_DELAY_SECONDS: Final = 0.05
_LONGEST_DELAY_SECONDS: Final = 1.0
_WAITING_PER_PLACE: Final = 16
"""An API server that takes 0.2 s for an answer serves the last in line within the usual 4 s."""

BUSY: Final = "The Kubernetes API server is too slow for all that is asked of it; try again."


class AllReviews(Reviews, UrlReviews, Protocol):
    """Every question there is."""


class RetryingReviews:
    """:class:`Reviews` over others. Reviews change nothing, so that each may be asked again.

    ``places`` is how many are asked at once, ``seconds`` bounds each with all its tries and its waiting,
    ``jitter`` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        reviews: AllReviews,
        *,
        places: int,
        seconds: float,
        circuit: CircuitBreaker,
        clock: Clock,
        metrics: Metrics,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._reviews = reviews
        self._gate = Gate(places, waiting=places * _WAITING_PER_PLACE)
        self._seconds = seconds
        self._circuit = circuit
        self._clock = clock
        self._metrics = metrics
        self._jitter = jitter

    async def who(self, token: str) -> UserInfo:
        """See :class:`Reviews`."""
        return await self._patiently("SelfSubjectReview", lambda: self._reviews.who(token))

    async def may(self, token: str, attributes: Attributes) -> AccessAnswer:
        """See :class:`Reviews`."""
        return await self._patiently("SelfSubjectAccessReview", lambda: self._reviews.may(token, attributes))

    async def rules(self, token: str, namespace: str) -> RulesAnswer:
        """See :class:`Reviews`."""
        return await self._patiently("SelfSubjectRulesReview", lambda: self._reviews.rules(token, namespace))

    async def may_get(self, token: str, path: str) -> AccessAnswer:
        """See :class:`UrlReviews`."""
        return await self._patiently("SelfSubjectAccessReview", lambda: self._reviews.may_get(token, path))

    async def _patiently(self, kind: str, ask: Callable[[], Awaitable[A]]) -> A:
        deadline = self._clock.monotonic() + self._seconds
        try:
            async with asyncio.timeout(self._seconds), self._gate.entered(OverloadedError(BUSY)):
                return await self._again_and_again(kind, ask, deadline)
        except TimeoutError as error:
            raise UnavailableError(NO_ANSWER) from error

    async def _again_and_again(self, kind: str, ask: Callable[[], Awaitable[A]], deadline: float) -> A:
        delay = _FIRST_DELAY_SECONDS
        while True:
            try:
                with self._circuit.trial():
                    return await ask()
            except TransientError as error:
                pause = (error.after or 0.0) + delay * self._jitter()
                if self._circuit.is_open or self._clock.monotonic() + pause >= deadline:
                    raise
                self._metrics.retried(kind, reason=str(error.status_of_answer or "unreachable"))
            await self._clock.sleep(pause)
            delay = min(2 * delay, _LONGEST_DELAY_SECONDS)


@dataclass(frozen=True, slots=True)
class ReviewPriorities:
    """Two ways to one API server, so that who is not known yet never stands in the way of who is.

    Each has places of its own and notices by itself that the API server is down: a token made up so that
    it is slow to check must not make it look so.
    """

    known: AllReviews
    unverified: AllReviews


def lanes(
    reviews: AllReviews,
    *,
    places: int,
    seconds: float,
    clock: Clock,
    metrics: Metrics | None = None,
    jitter: Callable[[], float] = random.random,
) -> ReviewPriorities:
    """A quarter of ``places`` is for unverified; each review gets ``seconds``."""
    counted = metrics or NoMetrics()

    def lane(share: int, changed: Callable[[bool], None]) -> AllReviews:
        circuit = CircuitBreaker(clock.monotonic, changed=changed)
        return RetryingReviews(
            reviews,
            places=share,
            seconds=seconds,
            circuit=circuit,
            clock=clock,
            metrics=counted,
            jitter=jitter,
        )

    unverified = max(1, places // 4)
    return ReviewPriorities(
        known=lane(max(1, places - unverified), lambda is_open: counted.circuit(is_open=is_open)),
        unverified=lane(unverified, lambda _: None),
    )
