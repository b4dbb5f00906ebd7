"""Decisions: asked once, kept for their own time, shared by one user's tokens, never made up."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.harness.fakes import NO, YES, ManualClock, ScriptedReviews, run_pending
from workspace_authz.authorizer.authorizer import CONCURRENT_QUESTIONS, Authorizer
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.review_cache import Lifetimes
from workspace_authz.authorizer.reviewers import Reviewers
from workspace_authz.errors import UnauthenticatedError, UnavailableError
from workspace_authz.kubernetes.credentials import BearerToken
from workspace_authz.kubernetes.reviews import AccessAnswer, ResourceRule, RulesAnswer
from workspace_authz.types import (
    USABLE,
    Attributes,
    Caller,
    Decision,
    Outcome,
    Resource,
    Source,
    UserInfo,
    Verb,
)

ALICE = Caller(UserInfo("alice", uid="1", groups=("g",)), BearerToken("alice-token"))
LIST = Attributes("team-a", Verb.LIST, Resource.EXPERIMENTS)
ALLOW, DENY, NO_OPINION = Outcome.ALLOW, Outcome.DENY, Outcome.NO_OPINION


@pytest.fixture
def authorizer(reviews: ScriptedReviews, clock: ManualClock) -> Authorizer:
    return Authorizer(
        Reviewers(reviews),
        generations=Generations(clock.monotonic),
        monotonic=clock.monotonic,
        lifetimes=Lifetimes(allow=10, deny=5),
        size=50,
    )


@pytest.mark.parametrize(
    ("answer", "outcome", "seconds"),
    [(YES, ALLOW, 10), (NO, NO_OPINION, 5), (AccessAnswer(allowed=False, denied=True), DENY, 5)],
)
async def test_an_answer_holds_for_the_lifetime_of_its_outcome(
    authorizer: Authorizer,
    reviews: ScriptedReviews,
    clock: ManualClock,
    answer: AccessAnswer,
    outcome: Outcome,
    seconds: float,
) -> None:
    reviews.may_answer = answer
    assert await authorizer.authorize(ALICE, LIST) == Decision(outcome, Source.REVIEW)
    clock.advance(seconds - 0.1)
    assert await authorizer.authorize(ALICE, LIST) == Decision(outcome, Source.CACHE)
    assert reviews.questions == [LIST]
    clock.advance(0.1)
    assert await authorizer.authorize(ALICE, LIST) == Decision(outcome, Source.REVIEW)
    assert reviews.questions == [LIST, LIST]


async def test_the_callers_own_token_asks(authorizer: Authorizer, reviews: ScriptedReviews) -> None:
    await authorizer.authorize(ALICE, LIST)
    assert reviews.tokens == ["alice-token"]


@pytest.mark.parametrize(
    "other",
    [
        Attributes("team-b", Verb.LIST, Resource.EXPERIMENTS),
        Attributes("team-a", Verb.GET, Resource.EXPERIMENTS),
        Attributes("team-a", Verb.LIST, Resource.DATASETS),
        Attributes("team-a", Verb.LIST, Resource.EXPERIMENTS, name="one"),
        Attributes("team-a", Verb.CREATE, Resource.GATEWAY_ENDPOINTS, "use"),
    ],
)
async def test_another_question_is_asked(
    authorizer: Authorizer, reviews: ScriptedReviews, other: Attributes
) -> None:
    await authorizer.authorize(ALICE, LIST)
    await authorizer.authorize(ALICE, other)
    assert reviews.questions == [LIST, other]


@pytest.mark.parametrize(
    "user",
    [
        UserInfo("bob", uid="1", groups=("g",)),
        UserInfo("alice", uid="2", groups=("g",)),
        UserInfo("alice", uid="1", groups=("g", "h")),
        UserInfo("alice", uid="1", groups=("g",), extra=(("scopes", ("read",)),)),
    ],
)
async def test_another_user_is_asked_about(
    authorizer: Authorizer, reviews: ScriptedReviews, user: UserInfo
) -> None:
    await authorizer.authorize(ALICE, LIST)
    await authorizer.authorize(Caller(user, BearerToken("t")), LIST)
    assert reviews.questions == [LIST, LIST]


async def test_two_tokens_of_one_user_share_decisions(
    authorizer: Authorizer, reviews: ScriptedReviews
) -> None:
    """Tokens of one service account differ in the credential id alone, which no authorizer looks at."""
    for token in ("first", "second"):
        extra = (
            ("authentication.kubernetes.io/credential-id", (f"JTI={token}",)),
            ("authentication.kubernetes.io/pod-name", ("p",)),
        )
        await authorizer.authorize(Caller(UserInfo("sa", extra=extra), BearerToken(token)), LIST)
    assert reviews.tokens == ["first"]


async def test_nobody_is_told_that_another_token_of_theirs_has_expired(
    authorizer: Authorizer, reviews: ScriptedReviews
) -> None:
    reviews.hold()
    user = ALICE.user
    waiting = [
        asyncio.create_task(authorizer.authorize(Caller(user, BearerToken(t)), LIST)) for t in ("old", "new")
    ]
    await run_pending()
    assert reviews.tokens == ["old", "new"]
    reviews.release()
    await asyncio.gather(*waiting)


async def test_identical_questions_in_flight_are_asked_once_and_survive_a_cancelled_caller(
    authorizer: Authorizer, reviews: ScriptedReviews
) -> None:
    reviews.hold()
    waiting = [asyncio.create_task(authorizer.authorize(ALICE, LIST)) for _ in range(5)]
    await run_pending()
    waiting[0].cancel()
    reviews.release()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert results[1:] == [Decision(ALLOW, Source.REVIEW)] * 4
    assert reviews.questions == [LIST]


@pytest.mark.parametrize("error", [UnavailableError("down"), UnauthenticatedError("gone")])
async def test_an_error_is_raised_and_never_remembered(
    authorizer: Authorizer, reviews: ScriptedReviews, error: Exception
) -> None:
    reviews.may_answer = error
    for _ in range(2):
        with pytest.raises(type(error)):
            await authorizer.authorize(ALICE, LIST)
    assert len(reviews.questions) == 2
    reviews.may_answer = YES
    assert (await authorizer.authorize(ALICE, LIST)).outcome is ALLOW


def granting(*resources: str, names: frozenset[str] = frozenset()) -> RulesAnswer:
    rule = ResourceRule(
        verbs=frozenset({"list"}),
        groups=frozenset({"mlflow.kubeflow.org"}),
        resources=frozenset(resources),
        names=names,
    )
    return RulesAnswer(rules=(rule,), incomplete=False)


async def test_a_right_on_a_named_object_is_a_right(authorizer: Authorizer, reviews: ScriptedReviews) -> None:
    reviews.rules_answer = granting("experiments", names=frozenset({"fraud"}))
    assert await authorizer.holds_any_right(ALICE, "team-a")


async def test_a_right_among_the_rules_is_a_right_and_is_remembered(
    authorizer: Authorizer, reviews: ScriptedReviews, clock: ManualClock
) -> None:
    reviews.rules_answer = granting("experiments")
    assert await authorizer.holds_any_right(ALICE, "team-a")
    clock.advance(9.9)
    assert await authorizer.holds_any_right(ALICE, "team-a")
    assert reviews.namespaces == ["team-a"]
    reviews.rules_answer = granting()
    clock.advance(0.1)
    assert not await authorizer.holds_any_right(ALICE, "team-a")
    clock.advance(4.9)
    assert not await authorizer.holds_any_right(ALICE, "team-a")
    assert reviews.namespaces == ["team-a", "team-a"]
    assert reviews.questions == []  # complete rules need no further question


async def test_where_rules_cannot_be_enumerated_every_right_is_asked_about(
    authorizer: Authorizer, reviews: ScriptedReviews
) -> None:
    reviews.rules_answer = RulesAnswer(rules=(), incomplete=True)
    reviews.may_answer = NO
    assert not await authorizer.holds_any_right(ALICE, "team-a")
    asked = set(reviews.questions)
    assert {(q.verb, q.resource) for q in asked if not q.subresource} == {
        (verb, resource) for verb in Verb for resource in Resource
    }
    assert {(q.verb, q.resource) for q in asked if q.subresource} == {
        (Verb.CREATE, resource) for resource in USABLE
    }
    assert {q.namespace for q in asked} == {"team-a"}


async def test_where_rules_cannot_be_enumerated_one_yes_is_enough(
    authorizer: Authorizer, reviews: ScriptedReviews
) -> None:
    reviews.rules_answer = RulesAnswer(rules=(), incomplete=True)
    reviews.may_answer = lambda asked: YES if asked.resource is Resource.DATASETS else NO
    assert await authorizer.holds_any_right(ALICE, "team-a")


async def test_a_right_that_cannot_be_found_out_is_an_error(
    authorizer: Authorizer, reviews: ScriptedReviews
) -> None:
    reviews.rules_answer = UnavailableError("down")
    for _ in range(2):
        with pytest.raises(UnavailableError):
            await authorizer.holds_any_right(ALICE, "team-a")
    assert len(reviews.namespaces) == 2


async def test_a_list_of_namespaces_is_asked_concurrently_within_the_bound(
    authorizer: Authorizer, reviews: ScriptedReviews
) -> None:
    reviews.rules_answer = granting("datasets")
    reviews.hold()
    names = sorted(f"n{number}" for number in range(CONCURRENT_QUESTIONS + 5))
    listing = asyncio.create_task(authorizer.namespaces_with_rights(ALICE, names))
    await run_pending()
    assert len(reviews.namespaces) == CONCURRENT_QUESTIONS
    reviews.release()
    assert await listing == frozenset(names)
    assert sorted(reviews.namespaces) == names


async def test_a_list_is_whole_or_an_error(authorizer: Authorizer, reviews: ScriptedReviews) -> None:
    reviews.rules_answer = UnavailableError("down")
    with pytest.raises(UnavailableError, match="down"):
        await authorizer.namespaces_with_rights(ALICE, ["a", "b"])


async def test_all_of_many_questions_are_answered_and_cached(
    authorizer: Authorizer, reviews: ScriptedReviews
) -> None:
    reviews.may_answer = lambda asked: YES if asked.name == "fraud" else NO
    questions = [replace(LIST, name=name) for name in ("fraud", "churn", "fraud")]
    for _ in range(2):
        found = await authorizer.authorize_all(ALICE, questions)
        allowed = {asked.name for asked, decision in found.items() if decision.outcome is ALLOW}
        assert allowed == {"fraud"}
    assert sorted(asked.name for asked in reviews.questions) == ["churn", "fraud"]


async def test_many_questions_are_asked_concurrently_within_the_bound(
    authorizer: Authorizer, reviews: ScriptedReviews
) -> None:
    reviews.hold()
    questions = [replace(LIST, name=f"experiment-{number}") for number in range(CONCURRENT_QUESTIONS + 5)]
    asking = asyncio.create_task(authorizer.authorize_all(ALICE, questions))
    await run_pending()
    assert len(reviews.questions) == CONCURRENT_QUESTIONS
    reviews.release()
    assert list(await asking) == questions


async def test_one_question_without_an_answer_is_an_error(
    authorizer: Authorizer, reviews: ScriptedReviews
) -> None:
    reviews.may_answer = UnavailableError("down")
    with pytest.raises(UnavailableError, match="down"):
        await authorizer.authorize_all(ALICE, [LIST, replace(LIST, name="fraud")])
