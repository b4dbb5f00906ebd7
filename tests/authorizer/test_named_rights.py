"""Which names are worth a question: what the caller's own rules say, asked once."""

from __future__ import annotations

import asyncio

import pytest

from tests.harness.fakes import NO, YES, ManualClock, ScriptedReviews, settle
from workspace_authz.authorizer.authorizer import Authorizer
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.named_rights import (
    CONCURRENT_QUESTIONS,
    NamedRights,
    NameSource,
    RulesReviewNames,
)
from workspace_authz.authorizer.review_cache import Lifetimes
from workspace_authz.authorizer.rules_cache import RulesCache
from workspace_authz.errors import UnavailableError
from workspace_authz.kubernetes.reviews import ResourceRule, RulesAnswer
from workspace_authz.types import API_GROUP, Attributes, Caller, Outcome, Resource, UserInfo, Verb

NORA = Caller(UserInfo("nora"), "token-of-nora")
LIST = Attributes("team-a", Verb.LIST, Resource.EXPERIMENTS)


def named(*names: str, incomplete: bool = False) -> RulesAnswer:
    values = (["list"], [API_GROUP], ["experiments"], names)
    rule = ResourceRule(*map(frozenset, values))
    pods = ResourceRule(*map(frozenset, (["get"], [""], ["pods"], ())))
    return RulesAnswer((pods, rule) if names else (pods,), incomplete)


@pytest.fixture
def authorizer(reviews: ScriptedReviews, clock: ManualClock) -> Authorizer:
    return Authorizer(
        reviews, generations=Generations(clock.monotonic), monotonic=clock.monotonic, lifetimes=Lifetimes()
    )


@pytest.fixture
def source(reviews: ScriptedReviews, clock: ManualClock) -> NameSource:
    return RulesReviewNames(
        RulesCache(
            reviews,
            generations=Generations(clock.monotonic),
            monotonic=clock.monotonic,
            lifetimes=Lifetimes(),
        )
    )


async def test_the_callers_rules_are_asked_once(
    source: NameSource, reviews: ScriptedReviews, clock: ManualClock
) -> None:
    reviews.rules_answer = named("fraud", "churn")
    for _ in range(2):
        assert await source.candidates(NORA, LIST) == frozenset({"fraud", "churn"})
    assert (reviews.namespaces, reviews.tokens) == (["team-a"], ["token-of-nora"])
    clock.advance(10)
    reviews.rules_answer = named("churn")
    assert await source.candidates(NORA, LIST) == frozenset({"churn"})


async def test_rules_without_names_say_that_there_are_none(
    source: NameSource, reviews: ScriptedReviews
) -> None:
    reviews.rules_answer = named()
    assert await source.candidates(NORA, LIST) == frozenset()


async def test_incomplete_rules_tell_what_they_hold_or_nothing(
    source: NameSource, reviews: ScriptedReviews, clock: ManualClock
) -> None:
    reviews.rules_answer = named("fraud", incomplete=True)
    assert await source.candidates(NORA, LIST) == frozenset({"fraud"})
    clock.advance(10)
    reviews.rules_answer = named(incomplete=True)
    assert await source.candidates(NORA, LIST) is None


async def test_an_error_is_one_and_is_not_remembered(source: NameSource, reviews: ScriptedReviews) -> None:
    reviews.rules_answer = UnavailableError("down")
    with pytest.raises(UnavailableError):
        await source.candidates(NORA, LIST)
    reviews.rules_answer = named("fraud")
    assert await source.candidates(NORA, LIST) == frozenset({"fraud"})


class _Fixed:
    def __init__(self, names: frozenset[str] | None) -> None:
        self.names = names

    async def candidates(self, caller: Caller, broad: Attributes) -> frozenset[str] | None:
        return self.names


@pytest.mark.parametrize(
    ("known", "told"),
    [((), None), ((None, None), None), ((None, {"a"}, {"b"}), {"a"}), ((set(), {"b"}), set())],
)
async def test_the_first_source_that_can_tell_is_believed(
    authorizer: Authorizer, known: tuple[set[str] | None, ...], told: set[str] | None
) -> None:
    sources = tuple(_Fixed(None if names is None else frozenset(names)) for names in known)
    rights = NamedRights(authorizer, sources)
    assert await rights.candidates(NORA, LIST) == (None if told is None else frozenset(told))


async def test_every_name_is_confirmed_and_remembered(
    authorizer: Authorizer, reviews: ScriptedReviews
) -> None:
    reviews.may_answer = lambda asked: YES if asked.name == "fraud" else NO
    rights = NamedRights(authorizer, ())
    for _ in range(2):
        found = await rights.decisions(NORA, LIST, {"fraud", "churn"})
        allowed = {asked.name for asked, decision in found.items() if decision.outcome is Outcome.ALLOW}
        assert allowed == {"fraud"}
    assert sorted(asked.name for asked in reviews.questions) == ["churn", "fraud"]


async def test_names_are_confirmed_together_within_the_bound(
    authorizer: Authorizer, reviews: ScriptedReviews
) -> None:
    reviews.hold()
    names = [f"experiment-{number}" for number in range(CONCURRENT_QUESTIONS + 5)]
    asking = asyncio.create_task(NamedRights(authorizer, ()).decisions(NORA, LIST, names))
    await settle()
    assert len(reviews.questions) == CONCURRENT_QUESTIONS
    reviews.release()
    assert len(await asking) == len(names)


async def test_a_name_that_cannot_be_confirmed_is_an_error(
    authorizer: Authorizer, reviews: ScriptedReviews
) -> None:
    reviews.may_answer = UnavailableError("down")
    with pytest.raises(UnavailableError, match="down"):
        await NamedRights(authorizer, ()).decisions(NORA, LIST, ["fraud", "churn"])
