"""The kind of the credential selects how the API server is asked; the decision is the same."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.authorizer.rbac.worlds import World
from tests.harness.fakes import NO, YES, ManualClock, ScriptedReviews, ScriptedSubjectReviews, run_pending
from workspace_authz.authorizer.authorizer import CONCURRENT_QUESTIONS, Authorizer
from workspace_authz.authorizer.candidates import CandidateSource
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.named_rights import NamedRights, RulesReviewNames
from workspace_authz.authorizer.prefetch import AnyRightIn
from workspace_authz.authorizer.review_cache import Lifetimes
from workspace_authz.authorizer.reviewers import Reviewers, bearer_token
from workspace_authz.authorizer.rules import every_question
from workspace_authz.errors import UnavailableError
from workspace_authz.kubernetes.access_reviews import resource, url
from workspace_authz.kubernetes.credentials import AssertedUser, AudienceToken, BearerToken
from workspace_authz.kubernetes.reviews import AccessAnswer, ResourceRule, RulesAnswer
from workspace_authz.types import API_GROUP, Attributes, Caller, Outcome, Resource, Source, UserInfo, Verb

USER = UserInfo("alice", uid="1", groups=("devs",), extra=(("scopes", ("read",)),))
ASSERTED = Caller(USER, AssertedUser())
WITH_TOKEN = Caller(USER, BearerToken("t"))
LIST = Attributes("team-a", Verb.LIST, Resource.EXPERIMENTS)
RULES = RulesAnswer(
    (ResourceRule(*map(frozenset, (["list"], [API_GROUP], ["experiments"], ["fraud"]))),), incomplete=False
)


@dataclass
class Site:
    """An authorizer for both kinds of callers."""

    clock: ManualClock = field(default_factory=ManualClock)
    reviews: ScriptedReviews = field(default_factory=ScriptedReviews)
    subject_reviews: ScriptedSubjectReviews = field(default_factory=ScriptedSubjectReviews)
    candidates: CandidateSource | None = None

    def __post_init__(self) -> None:
        self.authorizer = Authorizer(
            Reviewers(self.reviews, subject_reviews=self.subject_reviews),
            generations=Generations(self.clock.monotonic),
            monotonic=self.clock.monotonic,
            lifetimes=Lifetimes(),
            candidates=self.candidates,
        )


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (YES, Outcome.ALLOW),
        (NO, Outcome.NO_OPINION),
        (AccessAnswer(allowed=False, denied=True), Outcome.DENY),
    ],
)
async def test_an_asserted_user_is_asked_about_by_the_server(
    site: Site, answer: AccessAnswer, outcome: Outcome
) -> None:
    site.subject_reviews.may_answer = answer
    decision = await site.authorizer.authorize(ASSERTED, LIST)
    assert (decision.outcome, decision.source) == (outcome, Source.REVIEW)
    assert (site.subject_reviews.users, site.subject_reviews.questions) == ([USER], [LIST])
    assert site.reviews.tokens == []
    assert (await site.authorizer.authorize(ASSERTED, LIST)).source is Source.CACHE


async def test_a_token_of_an_audience_is_never_sent_to_the_api_server(site: Site) -> None:
    caller = Caller(USER, AudienceToken("t"))
    with site.authorizer.prefetch(caller.credential, LIST):
        await site.authorizer.authorize(caller, LIST)
        await site.authorizer.may_get(caller, "/metrics")
    assert (site.subject_reviews.users, site.reviews.tokens) == ([USER, USER], [])


async def test_a_caller_with_a_token_is_never_asked_about_by_the_server(site: Site) -> None:
    await site.authorizer.authorize(WITH_TOKEN, LIST)
    await site.authorizer.holds_any_right(WITH_TOKEN, "team-a")
    await site.authorizer.may_get(WITH_TOKEN, "/metrics")
    assert site.reviews.tokens == ["t"] * 3
    assert site.subject_reviews.users == []


@pytest.mark.parametrize(("first", "second"), [(ASSERTED, WITH_TOKEN), (WITH_TOKEN, ASSERTED)])
async def test_one_user_has_one_decision_whatever_the_credential(
    site: Site, first: Caller, second: Caller
) -> None:
    await site.authorizer.authorize(first, LIST)
    assert (await site.authorizer.authorize(second, LIST)).source is Source.CACHE


@pytest.mark.parametrize(
    "other",
    [
        UserInfo("bob", "1", ("devs",), USER.extra),
        UserInfo("alice", "2", ("devs",), USER.extra),
        UserInfo("alice", "1", ("devs", "ops"), USER.extra),
        UserInfo("alice", "1", ("devs",)),
    ],
)
async def test_another_asserted_user_shares_neither_a_decision_nor_a_question(
    site: Site, other: UserInfo
) -> None:
    site.subject_reviews.hold()
    asking = [
        asyncio.create_task(site.authorizer.authorize(Caller(user, AssertedUser()), LIST))
        for user in (USER, USER, other)
    ]
    await run_pending()
    assert site.subject_reviews.users == [USER, other]
    site.subject_reviews.release()
    await asyncio.gather(*asking)


async def test_two_kinds_of_credentials_share_no_question_in_flight(site: Site) -> None:
    """An expired token must not answer for a caller who needs none."""
    site.reviews.hold()
    site.subject_reviews.hold()
    asking = [asyncio.create_task(site.authorizer.authorize(each, LIST)) for each in (WITH_TOKEN, ASSERTED)]
    await run_pending()
    assert (len(site.reviews.questions), len(site.subject_reviews.questions)) == (1, 1)
    site.reviews.release()
    site.subject_reviews.release()
    await asyncio.gather(*asking)


async def test_no_answer_is_an_error_and_is_not_cached(site: Site) -> None:
    site.subject_reviews.may_answer = UnavailableError("down")
    for _ in range(2):
        with pytest.raises(UnavailableError):
            await site.authorizer.authorize(ASSERTED, LIST)
    assert len(site.subject_reviews.questions) == 2


@pytest.mark.parametrize("caller", [ASSERTED, WITH_TOKEN])
async def test_a_url_is_asked_about_anew_each_time(site: Site, caller: Caller) -> None:
    assert await site.authorizer.may_get(caller, "/metrics")
    site.reviews.get_answer = site.subject_reviews.get_answer = NO
    assert not await site.authorizer.may_get(caller, "/metrics")
    assert site.reviews.targets + site.subject_reviews.targets == [url("/metrics")] * 2


async def test_every_right_of_an_asserted_user_is_asked_about_within_the_bound(site: Site) -> None:
    """Kubernetes has no review that lists the rights of another user."""
    site.subject_reviews.may_answer = NO
    site.subject_reviews.hold()
    asking = asyncio.create_task(site.authorizer.holds_any_right(ASSERTED, "team-a"))
    await run_pending()
    assert len(site.subject_reviews.questions) == CONCURRENT_QUESTIONS
    site.subject_reviews.release()
    assert not await asking
    assert set(site.subject_reviews.questions) == set(every_question("team-a"))
    assert site.reviews.namespaces == []


async def test_one_right_of_an_asserted_user_is_enough(site: Site) -> None:
    site.subject_reviews.may_answer = lambda asked: YES if asked.resource is Resource.GATEWAY_SECRETS else NO
    assert await site.authorizer.holds_any_right(ASSERTED, "team-a")


async def test_an_asserted_users_namespaces_are_asked_about_within_the_bound(site: Site) -> None:
    site.subject_reviews.may_answer = lambda asked: YES if asked.namespace == "n7" else NO
    site.subject_reviews.hold()
    names = [f"n{number}" for number in range(CONCURRENT_QUESTIONS + 5)]
    asking = asyncio.create_task(site.authorizer.namespaces_with_rights(ASSERTED, names))
    await run_pending()
    assert len(site.subject_reviews.questions) == CONCURRENT_QUESTIONS
    site.subject_reviews.release()
    assert await asking == frozenset({"n7"})


async def test_what_cannot_be_listed_for_one_kind_hides_nothing_from_the_other(site: Site) -> None:
    """The same user asks without a token first. The caller with a token still has their rules listed."""
    site.reviews.rules_answer = RULES
    names = NamedRights((RulesReviewNames(site.authorizer),))
    assert await names.candidates(ASSERTED, LIST) is None
    assert await names.candidates(WITH_TOKEN, LIST) == frozenset({"fraud"})
    assert await names.candidates(ASSERTED, LIST) == frozenset(
        {"fraud"}
    )  # cached: the rights of the same user


async def test_the_index_tells_which_rights_of_an_asserted_user_to_ask_about() -> None:
    world = World()
    site = Site(clock=world.clock, candidates=world.source)
    site.subject_reviews.may_answer = lambda asked: YES if world.allowed(USER, asked) else NO
    metadata = {"name": "r", "namespace": "team-a"}
    rule: dict[str, Any] = {"verbs": ["get"], "apiGroups": [API_GROUP], "resources": ["datasets"]}
    world.put("Role", {"metadata": metadata, "rules": [rule]})
    subject = {"kind": "Group", "name": "devs"}
    world.put(
        "RoleBinding",
        {"metadata": metadata, "roleRef": {"kind": "Role", "name": "r"}, "subjects": [subject]},
    )
    world.catch_up()
    assert await site.authorizer.holds_any_right(ASSERTED, "team-a")
    assert not await site.authorizer.holds_any_right(ASSERTED, "team-b")
    assert site.subject_reviews.questions == [Attributes("team-a", Verb.GET, Resource.DATASETS)]


async def test_where_the_index_cannot_tell_every_right_is_asked_about() -> None:
    world = World()
    world.generations.followed_since = None
    site = Site(clock=world.clock, candidates=world.source)
    assert await site.authorizer.holds_any_right(ASSERTED, "team-a")


@pytest.mark.parametrize("question", [LIST, AnyRightIn("team-a")])
async def test_nothing_is_prefetched_for_who_has_no_token(
    site: Site, question: Attributes | AnyRightIn
) -> None:
    """Without the user there is nobody to ask about."""
    with site.authorizer.prefetch(AssertedUser(), question):
        await run_pending()
        assert (site.reviews.tokens, site.subject_reviews.users) == ([], [])
        assert (await site.authorizer.authorize(ASSERTED, LIST)).outcome is Outcome.ALLOW


class _Unknown:
    def is_in(self, value: bytes) -> bool:
        return False


@pytest.mark.parametrize("credential", [_Unknown(), AssertedUser()])
async def test_a_kind_that_no_reviewer_asks_for_is_an_error(credential: AssertedUser | _Unknown) -> None:
    """Also a user without a token, on a server that asks no reviews about users."""
    clock = ManualClock()
    authorizer = Authorizer(
        Reviewers(ScriptedReviews()),
        generations=Generations(clock.monotonic),
        monotonic=clock.monotonic,
        lifetimes=Lifetimes(),
    )
    with pytest.raises(TypeError, match=type(credential).__name__):
        await authorizer.authorize(Caller(USER, credential), LIST)
    with pytest.raises(TypeError, match=type(credential).__name__):
        bearer_token(credential)


@pytest.mark.parametrize("caller", [ASSERTED, WITH_TOKEN])
async def test_rights_on_rbac_are_asked_for_every_kind_of_caller(site: Site, caller: Caller) -> None:
    assert await site.authorizer.may_on_rbac(caller, "create", resource="rolebindings", namespace="team-a")
    site.reviews.get_answer = site.subject_reviews.get_answer = NO
    assert not await site.authorizer.may_on_rbac(caller, "create", resource="rolebindings", namespace="")
    group = "rbac.authorization.k8s.io"
    assert site.reviews.targets + site.subject_reviews.targets == [
        resource("create", "rolebindings", group=group, namespace="team-a"),
        resource("create", "rolebindings", group=group),
    ]
