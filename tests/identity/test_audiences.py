"""Tokens for an audience of the server: established by TokenReview, and by nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from tests.harness.fakes import ManualClock, ScriptedReviews, ScriptedTokenReviews, run_pending
from tests.identity.jwts import jwt
from workspace_authz.errors import (
    MisconfiguredError,
    TooManyRequestsError,
    UnauthenticatedError,
    UnavailableError,
)
from workspace_authz.identity.audiences import AudienceAuthenticator, Audiences
from workspace_authz.identity.authenticator import AuthenticatorChain, Presented
from workspace_authz.identity.rate_limit import Rejections
from workspace_authz.identity.tokens import TokenAuthenticator
from workspace_authz.identity.verified_tokens import TokenRules, TokenTerms
from workspace_authz.kubernetes.credentials import AudienceToken, BearerToken
from workspace_authz.kubernetes.token_reviews import IGNORED_AUDIENCE
from workspace_authz.types import Caller, Credential, UserInfo

TRAINER = UserInfo("system:serviceaccount:team-a:trainer", "u-1", ("system:authenticated",))
OURS, BOTH, FOREIGN = jwt({"aud": ["mlflow"]}), jwt({"aud": ["api", "mlflow"]}), jwt({"aud": ["vault"]})
TERMS = TokenTerms(seconds=15, rejected_seconds=5, rejections_per_second=0.2)


@dataclass
class World:
    """A chain of both kinds over an API server that answers as told."""

    clock: ManualClock
    only: bool = False
    tokens: ScriptedTokenReviews = field(default_factory=ScriptedTokenReviews)
    unverified: ScriptedTokenReviews = field(default_factory=ScriptedTokenReviews)
    reviews: ScriptedReviews = field(default_factory=ScriptedReviews)
    prefetched: list[Credential] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.answer(TRAINER)
        audiences = Audiences(("mlflow", "mlflow-test"), only=self.only)
        rejections = Rejections(self.clock, per_second=TERMS.rejections_per_second)
        rules = TokenRules(self.clock, server_time=self.clock.time, terms=TERMS, rejections=rejections)
        by_audience = AudienceAuthenticator(audiences, self.tokens, rules=rules, unverified=self.unverified)
        # Of these the API server's time is not known.
        timeless = replace(rules, server_time=lambda: None)
        by_token = TokenAuthenticator(self.reviews, timeless, advice=audiences.advice)
        self.chain = AuthenticatorChain((by_audience, *(() if self.only else (by_token,))), audiences.advice)

    def answer(self, answer: UserInfo | Exception) -> None:
        self.tokens.answer = self.unverified.answer = answer

    @property
    def asked(self) -> list[str]:
        """The tokens of all TokenReviews."""
        return self.unverified.tokens + self.tokens.tokens

    async def ask(self, token: str) -> Caller:
        presented = Presented([(b"authorization", b"Bearer " + token.encode())], peer="10.0.0.1")
        return await self.chain.authenticate(presented, unverified=self.prefetched.append)


@pytest.fixture
def world(clock: ManualClock) -> World:
    return World(clock)


@pytest.fixture
def strict(clock: ManualClock) -> World:
    return World(clock, only=True)


@pytest.mark.parametrize("token", [OURS, BOTH, jwt({"aud": "mlflow-test"})])
async def test_the_audience_chooses_a_token_review(world: World, token: str) -> None:
    caller = await world.ask(token)
    assert (caller.user, caller.credential) == (TRAINER, AudienceToken(token))
    assert (world.asked, world.reviews.tokens) == ([token], [])


@pytest.mark.parametrize(
    "token", ["opaque", FOREIGN, jwt({}), jwt({"aud": 7}), jwt({"aud": [["mlflow"]]}), jwt(["aud", "mlflow"])]
)
async def test_every_other_token_is_one_of_the_api_servers(world: World, token: str) -> None:
    assert (await world.ask(token)).credential == BearerToken(token)
    assert (world.asked, world.reviews.tokens) == ([], [token])


async def test_a_rejected_token_is_never_tried_as_one_of_the_api_servers(world: World) -> None:
    world.answer(UnauthenticatedError("no"))
    for _ in range(2):
        with pytest.raises(UnauthenticatedError, match="for the audience mlflow or mlflow-test"):
            await world.ask(OURS)
    assert (world.asked, world.reviews.tokens) == ([OURS], [])  # and is not asked about again


async def test_a_rejected_token_of_the_api_server_names_the_audience(world: World) -> None:
    world.reviews.who_answer = UnauthenticatedError("no")
    with pytest.raises(UnauthenticatedError, match="create token SERVICE_ACCOUNT --audience mlflow"):
        await world.ask(FOREIGN)


@pytest.mark.parametrize("error", [UnavailableError("down"), MisconfiguredError(IGNORED_AUDIENCE)])
async def test_no_answer_is_an_error_and_never_cached(world: World, error: UnavailableError) -> None:
    world.answer(error)
    with pytest.raises(UnavailableError):
        await world.ask(OURS)
    assert world.reviews.tokens == []
    world.answer(TRAINER)
    assert (await world.ask(OURS)).user == TRAINER


async def test_an_answer_is_cached_and_refreshed_while_the_token_is_used(world: World) -> None:
    for _ in range(3):
        await world.ask(OURS)
    assert world.asked == [OURS]
    world.clock.advance(8)
    world.answer(UnauthenticatedError("the account is gone"))
    assert (await world.ask(OURS)).user == TRAINER  # nobody waits
    await run_pending()
    with pytest.raises(UnauthenticatedError):
        await world.ask(OURS)


async def test_confirming_asks_the_same_kind(world: World) -> None:
    caller = await world.ask(OURS)
    world.clock.advance(15)
    assert await world.chain.confirm(caller) == caller
    world.clock.advance(15)
    world.answer(UnauthenticatedError("the account is gone"))
    with pytest.raises(UnauthenticatedError):
        await world.chain.confirm(caller)
    assert world.reviews.tokens == []


async def test_rejected_tokens_of_both_kinds_use_up_one_budget(world: World) -> None:
    world.answer(UnauthenticatedError("no"))
    world.reviews.who_answer = UnauthenticatedError("no")
    for token in (OURS, FOREIGN):
        with pytest.raises(UnauthenticatedError):
            await world.ask(token)
    for token in (BOTH, "another"):
        with pytest.raises(TooManyRequestsError):
            await world.ask(token)


async def test_an_expired_token_costs_no_question(world: World) -> None:
    with pytest.raises(UnauthenticatedError):
        await world.ask(jwt({"aud": ["mlflow"], "exp": world.clock.time()}))
    assert world.asked == []


@pytest.mark.parametrize("token", ["opaque", FOREIGN, BOTH, jwt({})])
async def test_a_strict_server_takes_tokens_for_itself_alone(strict: World, token: str) -> None:
    with pytest.raises(UnauthenticatedError, match="accepts only tokens for the audience mlflow"):
        await strict.ask(token)
    assert (strict.asked, strict.reviews.tokens) == ([], [])
    assert (await strict.ask(OURS)).user == TRAINER


async def test_what_can_be_no_token_is_told_the_audience(world: World) -> None:
    presented = Presented([(b"authorization", b"Bearer two words")])
    with pytest.raises(UnauthenticatedError, match=r"is no Kubernetes token.*--audience mlflow"):
        await world.chain.authenticate(presented, unverified=lambda _: None)


async def test_a_request_without_a_token_is_told_the_audience(strict: World) -> None:
    with pytest.raises(UnauthenticatedError, match="--audience mlflow"):
        await strict.chain.authenticate(Presented([]), unverified=lambda _: None)
