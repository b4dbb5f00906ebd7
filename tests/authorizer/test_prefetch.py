"""A question asked early is asked once, is its token's alone, and is forgotten with the request."""

from __future__ import annotations

import asyncio

import pytest

from tests.harness.fakes import NO, YES, ManualClock, ScriptedReviews, settle
from workspace_authz.authorizer.authorizer import Authorizer
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.review_cache import Lifetimes
from workspace_authz.errors import UnauthenticatedError, UnavailableError
from workspace_authz.types import Attributes, Caller, Outcome, Resource, Source, UserInfo, Verb

ALICE = Caller(UserInfo("alice"), token="alice-token")
LIST = Attributes("team-a", Verb.LIST, Resource.EXPERIMENTS)
GET = Attributes("team-a", Verb.GET, Resource.EXPERIMENTS)


@pytest.fixture
def authorizer(reviews: ScriptedReviews) -> Authorizer:
    monotonic = ManualClock().monotonic
    return Authorizer(reviews, generations=Generations(monotonic), monotonic=monotonic, lifetimes=Lifetimes())


async def test_a_decision_joins_the_question_and_is_remembered(
    authorizer: Authorizer, reviews: ScriptedReviews
) -> None:
    reviews.hold()
    with authorizer.early(ALICE.token, LIST):
        await settle()
        assert reviews.questions == [LIST]
        deciding = asyncio.create_task(authorizer.authorize(ALICE, LIST))
        await settle()
        reviews.release()
        assert (await deciding).source is Source.REVIEW
    assert (await authorizer.authorize(ALICE, LIST)).source is Source.CACHE
    assert reviews.questions == [LIST]


async def test_many_requests_ask_once(authorizer: Authorizer, reviews: ScriptedReviews) -> None:
    async def request() -> Outcome:
        with authorizer.early(ALICE.token, LIST):
            await settle()  # the answer is there before it is known whose the token is
            return (await authorizer.authorize(ALICE, LIST)).outcome

    assert set(await asyncio.gather(*(request() for _ in range(20)))) == {Outcome.ALLOW}
    assert reviews.questions == [LIST]


async def test_another_question_is_asked_by_itself(authorizer: Authorizer, reviews: ScriptedReviews) -> None:
    with authorizer.early(ALICE.token, LIST):
        await authorizer.authorize(ALICE, GET)
    assert reviews.questions == [LIST, GET]


async def test_the_answer_to_one_token_is_no_answer_to_another(
    authorizer: Authorizer, reviews: ScriptedReviews
) -> None:
    with authorizer.early("mallory-token", LIST):
        await settle()
        reviews.may_answer = NO
        assert (await authorizer.authorize(ALICE, LIST)).outcome is Outcome.NO_OPINION
    assert reviews.tokens == ["mallory-token", ALICE.token]


async def test_an_answer_that_nobody_joined_decides_nothing(
    authorizer: Authorizer, reviews: ScriptedReviews
) -> None:
    with authorizer.early(ALICE.token, LIST):
        await settle()
    reviews.may_answer = NO
    assert (await authorizer.authorize(ALICE, LIST)).outcome is Outcome.NO_OPINION
    assert reviews.questions == [LIST, LIST]


@pytest.mark.parametrize("error", [UnauthenticatedError("gone"), UnavailableError("down")])
async def test_a_failure_is_that_of_the_decision_and_not_remembered(
    authorizer: Authorizer, reviews: ScriptedReviews, error: Exception
) -> None:
    reviews.may_answer = error
    with authorizer.early(ALICE.token, LIST):
        await settle()
        with pytest.raises(type(error)):
            await authorizer.authorize(ALICE, LIST)
    assert reviews.questions == [LIST]
    reviews.may_answer = YES
    assert (await authorizer.authorize(ALICE, LIST)).outcome is Outcome.ALLOW


async def test_a_failure_that_nobody_wants_disturbs_nobody(
    authorizer: Authorizer, reviews: ScriptedReviews, caplog: pytest.LogCaptureFixture
) -> None:
    reviews.may_answer = UnavailableError("down")
    with authorizer.early(ALICE.token, LIST):
        pass
    await settle()
    assert caplog.text == ""


async def test_who_goes_away_takes_nothing_from_the_others(
    authorizer: Authorizer, reviews: ScriptedReviews
) -> None:
    async def request() -> Outcome:
        with authorizer.early(ALICE.token, LIST):
            return (await authorizer.authorize(ALICE, LIST)).outcome

    reviews.hold()
    first, second = asyncio.create_task(request()), asyncio.create_task(request())
    await settle()
    first.cancel()
    await settle()
    reviews.release()
    assert await second is Outcome.ALLOW
    assert reviews.questions == [LIST]
