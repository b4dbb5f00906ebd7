"""What is remembered: while it is followed, until something changes, and never as newer than it is."""

from __future__ import annotations

import asyncio

import pytest

from tests.harness.fakes import NO, YES, ManualClock, ScriptedReviews, run_pending
from workspace_authz.authorizer.authorizer import Authorizer
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.review_cache import Lifetimes
from workspace_authz.authorizer.reviewers import Reviewers
from workspace_authz.kubernetes.credentials import BearerToken
from workspace_authz.kubernetes.reviews import AccessAnswer, ResourceRule, RulesAnswer
from workspace_authz.types import API_GROUP, Attributes, Caller, Outcome, Resource, Source, UserInfo, Verb

ALICE = Caller(UserInfo("alice", groups=("g",)), BearerToken("t"))
LIST = Attributes("team-a", Verb.LIST, Resource.EXPERIMENTS)
OTHER = Attributes("team-b", Verb.LIST, Resource.EXPERIMENTS)
EVERYWHERE = Attributes("", Verb.LIST, Resource.EXPERIMENTS)
ALLOW, NO_OPINION = Outcome.ALLOW, Outcome.NO_OPINION
RULE = ResourceRule(*map(frozenset, (["list"], [API_GROUP], ["experiments"], [])))


class World:
    """An authorizer that follows changes, unless a test says otherwise, and that nothing has touched yet."""

    def __init__(self) -> None:
        self.clock, self.reviews = ManualClock(), ScriptedReviews()
        self.generations = Generations(self.clock.monotonic)
        self.generations.followed_since = self.clock.now
        self.authorizer = Authorizer(
            Reviewers(self.reviews),
            generations=self.generations,
            monotonic=self.clock.monotonic,
            lifetimes=Lifetimes(),
        )

    async def asked(self, attributes: Attributes = LIST) -> bool:
        """Whether the API server is asked."""
        before = len(self.reviews.questions)
        await self.authorizer.authorize(ALICE, attributes)
        return len(self.reviews.questions) > before

    async def outcome(self) -> Outcome:
        return (await self.authorizer.authorize(ALICE, LIST)).outcome


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("answer", [YES, NO])
async def test_while_changes_are_followed_every_answer_holds_a_minute(
    world: World, answer: AccessAnswer
) -> None:
    world.reviews.may_answer = answer
    assert await world.asked()
    world.clock.advance(59.9)
    assert not await world.asked()
    world.clock.advance(0.2)
    assert await world.asked()


async def test_a_change_ends_what_it_touches_and_nothing_else(world: World) -> None:
    for question in (LIST, OTHER, EVERYWHERE):
        await world.asked(question)
    world.generations.touch({"team-a"})
    assert [await world.asked(question) for question in (LIST, OTHER, EVERYWHERE)] == [True, False, False]
    world.clock.advance(0.2)
    world.generations.touch_everywhere()
    assert [await world.asked(question) for question in (LIST, OTHER, EVERYWHERE)] == [True, True, True]


async def test_rules_end_with_a_change_too(world: World) -> None:
    world.reviews.rules_answer = RulesAnswer((RULE,), incomplete=False)
    assert await world.authorizer.holds_any_right(ALICE, "team-a")
    assert await world.authorizer.holds_any_right(ALICE, "team-b")
    world.reviews.rules_answer = RulesAnswer((), incomplete=False)
    world.generations.touch({"team-a"})
    assert not await world.authorizer.holds_any_right(ALICE, "team-a")
    assert await world.authorizer.holds_any_right(ALICE, "team-b")


@pytest.mark.parametrize(("answer", "seconds"), [(YES, 10), (NO, 5)])
async def test_when_following_ends_what_is_known_ends_sooner(
    world: World, answer: AccessAnswer, seconds: float
) -> None:
    world.reviews.may_answer = answer
    await world.asked()
    world.clock.advance(seconds - 0.1)
    world.generations.followed_since = None
    assert not await world.asked()
    world.clock.advance(0.2)
    assert await world.asked()


async def test_what_was_asked_while_changes_could_be_missed_ends_soon_although_they_are_followed_again(
    world: World,
) -> None:
    await world.asked()
    world.clock.advance(1)
    world.generations.followed_since = world.clock.now  # there was an outage between the two
    world.clock.advance(8.9)
    assert not await world.asked()
    world.clock.advance(0.2)
    assert await world.asked()
    world.clock.advance(30)
    assert not await world.asked()


async def test_what_is_asked_before_a_change_is_never_remembered(world: World) -> None:
    world.reviews.hold()
    asking = asyncio.create_task(world.asked())
    await run_pending()
    world.generations.touch({"team-a"})
    world.reviews.release()
    assert await asking
    assert await world.asked()


async def test_an_old_answer_from_before_a_change_is_asked_for_again(world: World) -> None:
    """A slow API server may have decided before the change; the caller gets an answer from after it."""
    world.reviews.hold()
    asking = asyncio.create_task(world.outcome())
    await run_pending()
    world.generations.touch({"team-a"})
    world.clock.advance(0.2)
    answers = iter([YES, NO])
    world.reviews.may_answer = lambda _: next(answers)
    world.reviews.release()
    assert await asking is NO_OPINION


async def test_nobody_after_a_change_shares_a_question_from_before_it(world: World) -> None:
    world.reviews.hold()
    before = asyncio.create_task(world.outcome())
    await run_pending()
    world.generations.touch({"team-a"})
    after = [asyncio.create_task(world.outcome()) for _ in range(3)]
    await run_pending()
    assert len(world.reviews.questions) == 2
    world.reviews.release()
    await asyncio.gather(before, *after)
    assert not await world.asked()  # the later question is the one that is remembered


async def test_an_answer_from_before_a_change_never_replaces_one_from_after_it(world: World) -> None:
    world.reviews.hold()
    before = asyncio.create_task(world.outcome())
    await run_pending()
    world.generations.touch({"team-a"})
    first_gate, world.reviews._gate = world.reviews._gate, asyncio.Event()
    world.reviews.release()
    assert await world.asked()
    first_gate.set()
    await before
    assert not await world.asked()


async def test_after_a_change_an_answer_is_kept_briefly_until_the_change_is_old(world: World) -> None:
    """The API server's authorizer may hear of a change later than we: its answer may be from before it."""
    world.generations.touch({"team-a"})
    assert await world.asked()
    world.clock.advance(0.09)
    assert not await world.asked()
    world.clock.advance(0.02)
    assert await world.asked()
    world.clock.advance(5)
    assert await world.asked()
    world.clock.advance(59)
    assert not await world.asked()


async def test_a_late_authorizer_makes_no_lasting_mistake(world: World) -> None:
    """Given an API server that answers from before a revocation for 10 ms, then no yes outlives it by more
    than the brief time, and the no that follows is right for good."""
    await world.asked()
    revoked = world.clock.now
    world.generations.touch({"team-a"})
    world.reviews.may_answer = lambda _: YES if world.clock.now - revoked < 0.010 else NO
    allowed_until = revoked
    while world.clock.now < revoked + 120:
        if await world.outcome() is ALLOW:
            allowed_until = world.clock.now
        world.clock.advance(0.003 if world.clock.now < revoked + 1 else 0.5)
    assert allowed_until - revoked <= 0.010 + 0.1


async def test_a_long_review_is_kept_briefly_from_when_it_came(world: World) -> None:
    world.generations.touch({"team-a"})
    world.reviews.hold()
    asking = asyncio.create_task(world.asked())
    await run_pending()
    world.clock.advance(0.5)
    world.reviews.release()
    await asking
    world.clock.advance(0.09)
    assert not await world.asked()
    world.clock.advance(0.02)
    assert await world.asked()


async def test_a_lifetime_begins_when_the_question_is_sent(world: World) -> None:
    world.reviews.hold()
    asking = asyncio.create_task(world.asked())
    await run_pending()
    world.clock.advance(4)
    world.reviews.release()
    await asking
    world.clock.advance(55.9)
    assert not await world.asked()
    world.clock.advance(0.2)
    assert await world.asked()


async def test_a_prefetched_question_is_as_old_as_it_is(world: World) -> None:
    """A slow request keeps its prefetched question; a change meanwhile is noticed."""
    with world.authorizer.prefetch(ALICE.credential, LIST):
        await run_pending()
        world.generations.touch({"team-a"})
        world.clock.advance(0.2)
        world.reviews.may_answer = NO
        assert await world.outcome() is NO_OPINION
    assert len(world.reviews.questions) == 2


async def test_a_prefetched_answer_that_a_change_may_not_have_reached_is_served_briefly(world: World) -> None:
    world.generations.touch({"team-a"})
    with world.authorizer.prefetch(ALICE.credential, LIST):
        await run_pending()
        world.clock.advance(0.05)
        assert await world.outcome() is ALLOW
        world.clock.advance(0.06)
        world.reviews.may_answer = NO
        assert await world.outcome() is NO_OPINION


async def test_beside_another_authorizer_following_lengthens_nothing_but_still_forgets(world: World) -> None:
    world.authorizer = Authorizer(
        Reviewers(world.reviews),
        generations=world.generations,
        monotonic=world.clock.monotonic,
        lifetimes=Lifetimes(watched=None),
    )
    await world.asked()
    world.clock.advance(9.9)
    assert not await world.asked()
    world.clock.advance(0.2)
    assert await world.asked()
    world.generations.touch({"team-a"})
    assert await world.asked()


async def test_the_source_tells_a_review_from_the_cache(world: World) -> None:
    assert (await world.authorizer.authorize(ALICE, LIST)).source is Source.REVIEW
    assert (await world.authorizer.authorize(ALICE, LIST)).source is Source.CACHE
