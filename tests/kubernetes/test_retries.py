"""How reviews are asked when the API server throttles, fails, hangs and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.harness.fakes import NO, YES, ManualClock, ScriptedReviews, run_pending
from workspace_authz.errors import (
    MisconfiguredError,
    OverloadedError,
    RequestError,
    ThrottledError,
    UnauthenticatedError,
    UnavailableError,
    UnreachableError,
)
from workspace_authz.kubernetes.access_reviews import Target, url
from workspace_authz.kubernetes.circuit_breaker import FAILURES, OPEN_SECONDS, SILENT_SECONDS, CircuitBreaker
from workspace_authz.kubernetes.retries import (
    Retrier,
    RetryingReviews,
    RetryingSubjectReviews,
    review_priorities,
)
from workspace_authz.kubernetes.reviews import AccessAnswer, Reviews
from workspace_authz.kubernetes.subject_reviews import SubjectReviews
from workspace_authz.telemetry.metrics import Metrics, NoMetrics
from workspace_authz.types import Attributes, Resource, UserInfo, Verb

ASKED = Attributes("team-a", Verb.LIST, Resource.EXPERIMENTS)
BOB = UserInfo("bob")
SECONDS = 4.0
DOWN, BUSY = UnreachableError("down"), ThrottledError("busy", status=429, after=1.0)


class Counted(NoMetrics):
    """Writes down what is counted here."""

    def __init__(self) -> None:
        self.retries: list[str] = []
        self.circuits: list[bool] = []

    def retried(self, kind: str, *, reason: str) -> None:
        self.retries.append(f"{kind} {reason}")

    def circuit(self, *, is_open: bool) -> None:
        self.circuits.append(is_open)


@pytest.fixture
def counted() -> Counted:
    return Counted()


def retrier_of(clock: ManualClock, metrics: Metrics) -> Retrier:
    return Retrier(
        places=2,
        seconds=SECONDS,
        circuit=CircuitBreaker(clock.monotonic, changed=lambda _: None),
        clock=clock,
        metrics=metrics,
        jitter=lambda: 1.0,
    )


@pytest.fixture
def retrying(reviews: ScriptedReviews, clock: ManualClock, counted: Counted) -> RetryingReviews:
    return RetryingReviews(reviews, retrier_of(clock, counted))


def failing(reviews: ScriptedReviews, error: Exception, *, times: int) -> None:
    """Let the first ``times`` questions fail and the next be answered."""

    def answer(_: Attributes) -> AccessAnswer:
        if len(reviews.questions) <= times:
            raise error
        return YES

    reviews.may_answer = answer


async def test_every_kind_of_review_is_handed_on(retrying: RetryingReviews, reviews: ScriptedReviews) -> None:
    assert await retrying.who("t") == reviews.who_answer
    assert await retrying.may("t", ASKED) == YES
    assert await retrying.rules("t", "team-a") == reviews.rules_answer
    assert (reviews.tokens, reviews.questions, reviews.namespaces) == (["t"] * 3, [ASKED], ["team-a"])


@pytest.mark.parametrize(
    "ask",
    [
        lambda to: to.who("t"),
        lambda to: to.may("t", ASKED),
        lambda to: to.rules("t", "team-a"),
        lambda to: to.may_do("t", url("/metrics")),
    ],
)
async def test_every_kind_of_review_is_asked_again(
    retrying: RetryingReviews, reviews: ScriptedReviews, ask: Callable[[Reviews], Awaitable[object]]
) -> None:
    reviews.who_answer = reviews.may_answer = reviews.rules_answer = reviews.get_answer = BUSY
    with pytest.raises(ThrottledError):
        await ask(retrying)
    assert len(reviews.tokens) > 1


@pytest.mark.parametrize("ask", [lambda to: to.may(BOB, ASKED), lambda to: to.may_do(BOB, url("/metrics"))])
async def test_reviews_about_a_user_are_asked_again_too(
    clock: ManualClock, counted: Counted, ask: Callable[[SubjectReviews], Awaitable[AccessAnswer]]
) -> None:
    class Reviews:
        tries = 0

        async def may(self, user: UserInfo, attributes: Attributes) -> AccessAnswer:
            assert attributes == ASKED
            return await self.may_do(user, url("/metrics"))

        async def may_do(self, user: UserInfo, target: Target) -> AccessAnswer:
            assert (user, target) == (BOB, url("/metrics"))
            self.tries += 1
            if self.tries == 1:
                raise DOWN
            return NO

    assert await ask(RetryingSubjectReviews(Reviews(), retrier_of(clock, counted))) == NO
    assert counted.retries == ["SubjectAccessReview unreachable"]


async def test_a_failed_connection_is_tried_again_ever_more_slowly(
    retrying: RetryingReviews, reviews: ScriptedReviews, clock: ManualClock, counted: Counted
) -> None:
    failing(reviews, DOWN, times=3)
    assert await retrying.may("t", ASKED) == YES
    assert clock.slept == [0.05, 0.1, 0.2]
    assert counted.retries == ["SelfSubjectAccessReview unreachable"] * 3


async def test_a_throttled_review_waits_as_long_as_it_is_told(
    retrying: RetryingReviews, reviews: ScriptedReviews, clock: ManualClock, counted: Counted
) -> None:
    failing(reviews, BUSY, times=1)
    assert await retrying.may("t", ASKED) == YES
    assert clock.slept == [1.05]
    assert counted.retries == ["SelfSubjectAccessReview 429"]


async def test_tries_end_with_the_time_for_the_review(
    retrying: RetryingReviews, reviews: ScriptedReviews, clock: ManualClock
) -> None:
    reviews.may_answer = BUSY
    with pytest.raises(ThrottledError):
        await retrying.may("t", ASKED)
    assert sum(clock.slept) < SECONDS
    assert len(reviews.questions) == 4


async def test_who_is_told_to_wait_longer_than_there_is_time_does_not_wait(
    retrying: RetryingReviews, reviews: ScriptedReviews, clock: ManualClock
) -> None:
    reviews.may_answer = ThrottledError("busy", after=60.0)
    with pytest.raises(ThrottledError):
        await retrying.may("t", ASKED)
    assert clock.slept == []


@pytest.mark.parametrize(
    "error", [UnauthenticatedError("no"), MisconfiguredError("forbidden"), UnavailableError("nonsense")]
)
async def test_other_answers_are_final(
    retrying: RetryingReviews, reviews: ScriptedReviews, error: RequestError
) -> None:
    reviews.may_answer = error
    with pytest.raises(RequestError) as caught:
        await retrying.may("t", ASKED)
    assert caught.value is error
    assert reviews.questions == [ASKED]


async def test_a_no_is_an_answer(retrying: RetryingReviews, reviews: ScriptedReviews) -> None:
    reviews.may_answer = NO
    assert await retrying.may("t", ASKED) == NO
    assert reviews.questions == [ASKED]


async def test_an_api_server_that_is_down_is_left_alone_until_it_is_time(
    retrying: RetryingReviews, reviews: ScriptedReviews, clock: ManualClock
) -> None:
    reviews.may_answer = DOWN
    with pytest.raises(UnreachableError):
        await retrying.may("t", ASKED)
    assert len(reviews.questions) == FAILURES  # and not until the time is over
    for _ in range(10):
        with pytest.raises(OverloadedError):
            await retrying.may("t", ASKED)
    assert len(reviews.questions) == FAILURES
    clock.advance(OPEN_SECONDS)
    reviews.may_answer = YES
    assert await retrying.may("t", ASKED) == YES


async def test_no_more_are_asked_at_once_than_there_are_places(
    retrying: RetryingReviews, reviews: ScriptedReviews
) -> None:
    reviews.hold()
    asking = [asyncio.create_task(retrying.may("t", ASKED)) for _ in range(10)]
    await run_pending()
    assert len(reviews.questions) == 2
    reviews.release()
    assert await asyncio.gather(*asking) == [YES] * 10


async def test_a_slow_api_server_gets_no_endless_line(
    retrying: RetryingReviews, reviews: ScriptedReviews
) -> None:
    reviews.hold()
    asking = [asyncio.create_task(retrying.may("t", ASKED)) for _ in range(100)]
    await run_pending()
    turned_away = [task for task in asking if task.done()]
    assert len(turned_away) == 100 - 2 * 17
    assert all(isinstance(task.exception(), OverloadedError) for task in turned_away)
    reviews.release()
    await asyncio.gather(*asking, return_exceptions=True)


async def test_hanging_questions_end_in_time_and_open_the_circuit(
    reviews: ScriptedReviews, clock: ManualClock
) -> None:
    circuit = CircuitBreaker(clock.monotonic, changed=lambda _: None)
    retrier = Retrier(places=FAILURES, seconds=0.05, circuit=circuit, clock=clock, metrics=NoMetrics())
    retrying = RetryingReviews(reviews, retrier)
    reviews.hold()
    asking = [asyncio.create_task(retrying.may("t", ASKED)) for _ in range(FAILURES)]
    await run_pending()
    clock.advance(SILENT_SECONDS)
    ended = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(error, UnavailableError) for error in ended)
    with pytest.raises(OverloadedError):
        await retrying.may("t", ASKED)
    assert len(reviews.questions) == FAILURES


async def test_unknown_callers_never_take_the_places_of_the_known(
    reviews: ScriptedReviews, clock: ManualClock
) -> None:
    both = review_priorities(reviews, places=8, seconds=SECONDS, clock=clock)
    reviews.hold()
    waiting = [asyncio.create_task(both.unverified.who(f"invented-{number}")) for number in range(100)]
    await run_pending()
    assert len(reviews.tokens) == 2
    known = [asyncio.create_task(both.known.may("t", ASKED)) for _ in range(10)]
    await run_pending()
    assert len(reviews.questions) == 6
    reviews.release()
    assert await asyncio.gather(*known) == [YES] * 10
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_tokens_that_nobody_can_check_do_not_make_the_api_server_look_down(
    reviews: ScriptedReviews, clock: ManualClock, counted: Counted
) -> None:
    both = review_priorities(
        reviews, places=8, seconds=SECONDS, clock=clock, metrics=counted, jitter=lambda: 1.0
    )
    reviews.who_answer = DOWN
    for _ in range(2):
        with pytest.raises(UnavailableError):
            await both.unverified.who("slow-to-check")
    assert await both.known.may("t", ASKED) == YES
    assert counted.circuits == []
    reviews.may_answer = DOWN
    with pytest.raises(UnreachableError):
        await both.known.may("t", ASKED)
    assert counted.circuits == [True]
