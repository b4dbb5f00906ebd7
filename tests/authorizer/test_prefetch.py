"""A prefetched question is asked once, belongs to its credential alone, and ends with the request."""

from __future__ import annotations

import asyncio

import pytest

from tests.harness.fakes import NO, YES, ManualClock, ScriptedReviews, run_pending
from workspace_authz.authorizer.authorizer import Authorizer
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.review_cache import Lifetimes
from workspace_authz.authorizer.reviewers import Reviewers
from workspace_authz.errors import UnauthenticatedError, UnavailableError
from workspace_authz.kubernetes.credentials import BearerToken
from workspace_authz.types import Attributes, Caller, Outcome, Resource, Source, UserInfo, Verb

ALICE = Caller(UserInfo("alice"), BearerToken("alice-token"))
LIST = Attributes("team-a", Verb.LIST, Resource.EXPERIMENTS)
GET = Attributes("team-a", Verb.GET, Resource.EXPERIMENTS)


@pytest.fixture
def authorizer(reviews: ScriptedReviews) -> Authorizer:
    monotonic = ManualClock().monotonic
    return Authorizer(
        Reviewers(reviews), generations=Generations(monotonic), monotonic=monotonic, lifetimes=Lifetimes()
    )


async def test_a_decision_joins_the_question_and_is_remembered(
    authorizer: Authorizer, reviews: ScriptedReviews
) -> None:
    reviews.hold()
    with authorizer.prefetch(ALICE.credential, LIST):
        await run_pending()
        assert reviews.questions == [LIST]
        deciding = asyncio.create_task(authorizer.authorize(ALICE, LIST))
        await run_pending()
        reviews.release()
        assert (await deciding).source is Source.REVIEW
    assert (await authorizer.authorize(ALICE, LIST)).source is Source.CACHE
    assert reviews.questions == [LIST]


async def test_many_requests_ask_once(authorizer: Authorizer, reviews: ScriptedReviews) -> None:
    async def request() -> Outcome:
        with authorizer.prefetch(ALICE.credential, LIST):
            await run_pending()  # the answer is there before it is known whose the token is
            return (await authorizer.authorize(ALICE, LIST)).outcome

    assert set(await asyncio.gather(*(request() for _ in range(20)))) == {Outcome.ALLOW}
    assert reviews.questions == [LIST]


async def test_another_question_is_asked_by_itself(authorizer: Authorizer, reviews: ScriptedReviews) -> None:
    with authorizer.prefetch(ALICE.credential, LIST):
        await authorizer.authorize(ALICE, GET)
    assert reviews.questions == [LIST, GET]


async def test_the_answer_to_one_token_is_no_answer_to_another(
    authorizer: Authorizer, reviews: ScriptedReviews
) -> None:
    with authorizer.prefetch(BearerToken("mallory-token"), LIST):
        await run_pending()
        reviews.may_answer = NO
        assert (await authorizer.authorize(ALICE, LIST)).outcome is Outcome.NO_OPINION
    assert reviews.tokens == ["mallory-token", "alice-token"]


async def test_an_answer_that_nobody_waits_for_decides_nothing(
    authorizer: Authorizer, reviews: ScriptedReviews
) -> None:
    with authorizer.prefetch(ALICE.credential, LIST):
        await run_pending()
    reviews.may_answer = NO
    assert (await authorizer.authorize(ALICE, LIST)).outcome is Outcome.NO_OPINION
    assert reviews.questions == [LIST, LIST]


@pytest.mark.parametrize("error", [UnauthenticatedError("gone"), UnavailableError("down")])
async def test_a_failure_is_that_of_the_decision_and_not_remembered(
    authorizer: Authorizer, reviews: ScriptedReviews, error: Exception
) -> None:
    reviews.may_answer = error
    with authorizer.prefetch(ALICE.credential, LIST):
        await run_pending()
        with pytest.raises(type(error)):
            await authorizer.authorize(ALICE, LIST)
    assert reviews.questions == [LIST]
    reviews.may_answer = YES
    assert (await authorizer.authorize(ALICE, LIST)).outcome is Outcome.ALLOW


async def test_a_failure_that_nobody_wants_disturbs_nobody(
    authorizer: Authorizer, reviews: ScriptedReviews, caplog: pytest.LogCaptureFixture
) -> None:
    reviews.may_answer = UnavailableError("down")
    with authorizer.prefetch(ALICE.credential, LIST):
        pass
    await run_pending()
    assert caplog.text == ""


async def test_who_goes_away_takes_nothing_from_the_others(
    authorizer: Authorizer, reviews: ScriptedReviews
) -> None:
    async def request() -> Outcome:
        with authorizer.prefetch(ALICE.credential, LIST):
            return (await authorizer.authorize(ALICE, LIST)).outcome

    reviews.hold()
    first, second = asyncio.create_task(request()), asyncio.create_task(request())
    await run_pending()
    first.cancel()
    await run_pending()
    reviews.release()
    assert await second is Outcome.ALLOW
    assert reviews.questions == [LIST]
