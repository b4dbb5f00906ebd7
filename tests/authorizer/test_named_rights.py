"""Which names are worth a question: what the caller's own rules say, asked once."""

from __future__ import annotations

import pytest

from tests.harness.fakes import ManualClock, ScriptedReviews
from workspace_authz.authorizer.authorizer import Authorizer
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.named_rights import (
    NamedRights,
    NameSource,
    RulesReviewNames,
)
from workspace_authz.authorizer.review_cache import Lifetimes
from workspace_authz.authorizer.reviewers import Reviewers
from workspace_authz.errors import UnavailableError
from workspace_authz.kubernetes.credentials import BearerToken
from workspace_authz.kubernetes.reviews import ResourceRule, RulesAnswer
from workspace_authz.types import API_GROUP, Attributes, Caller, Resource, UserInfo, Verb

NORA = Caller(UserInfo("nora"), BearerToken("token-of-nora"))
LIST = Attributes("team-a", Verb.LIST, Resource.EXPERIMENTS)


def named(*names: str, incomplete: bool = False) -> RulesAnswer:
    values = (["list"], [API_GROUP], ["experiments"], names)
    rule = ResourceRule(*map(frozenset, values))
    pods = ResourceRule(*map(frozenset, (["get"], [""], ["pods"], ())))
    return RulesAnswer((pods, rule) if names else (pods,), incomplete)


@pytest.fixture
def authorizer(reviews: ScriptedReviews, clock: ManualClock) -> Authorizer:
    return Authorizer(
        Reviewers(reviews),
        generations=Generations(clock.monotonic),
        monotonic=clock.monotonic,
        lifetimes=Lifetimes(),
    )


@pytest.fixture
def source(authorizer: Authorizer) -> NameSource:
    return RulesReviewNames(authorizer)


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
    known: tuple[set[str] | None, ...], told: set[str] | None
) -> None:
    sources = tuple(_Fixed(None if names is None else frozenset(names)) for names in known)
    rights = NamedRights(sources)
    assert await rights.candidates(NORA, LIST) == (None if told is None else frozenset(told))
