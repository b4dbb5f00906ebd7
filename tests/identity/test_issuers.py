"""ID tokens that this server verifies itself: the claim ``iss`` chooses who verifies, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tests.harness.fakes import ManualClock, ScriptedReviews
from tests.identity.jwts import jwt
from workspace_authz.errors import ForbiddenError, UnauthenticatedError, UnavailableError
from workspace_authz.identity.authenticator import AuthenticatorChain, Presented
from workspace_authz.identity.issuers import IssuerAuthenticator
from workspace_authz.identity.tokens import TokenAuthenticator
from workspace_authz.identity.verified_tokens import TokenRules
from workspace_authz.kubernetes.credentials import BearerToken, IssuerToken
from workspace_authz.types import Caller, UserInfo

ISSUER = "https://idp.example"
ALICE = UserInfo("oidc:alice")
OURS, FOREIGN, WITHOUT = (
    jwt(claims) for claims in ({"iss": ISSUER}, {"iss": "https://kubernetes.default.svc"}, {"iss": [ISSUER]})
)


@dataclass
class Issuer:
    """Answers as a test says."""

    answer: UserInfo | Exception = ALICE
    asked: list[str] = field(default_factory=list)

    async def owner(self, token: str) -> UserInfo:
        self.asked.append(token)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@dataclass
class World:
    """Tokens of one issuer, and tokens for the API server."""

    clock: ManualClock
    issuer: Issuer = field(default_factory=Issuer)
    reviews: ScriptedReviews = field(default_factory=ScriptedReviews)

    def __post_init__(self) -> None:
        rules = TokenRules(self.clock)
        issuers = IssuerAuthenticator({ISSUER: self.issuer}, rules)
        self.chain = AuthenticatorChain((issuers, TokenAuthenticator(self.reviews, rules)))

    async def caller(self, token: str) -> Caller:
        presented = Presented(((b"authorization", f"Bearer {token}".encode()),))
        return await self.chain.authenticate(presented, unverified=lambda _: None)


@pytest.fixture
def world(clock: ManualClock) -> World:
    return World(clock)


async def test_its_issuer_alone_answers(world: World) -> None:
    """Given a token of the issuer that it does not accept, then the API server is not asked about it."""
    caller = await world.caller(OURS)
    assert caller == Caller(ALICE, IssuerToken(OURS))
    assert caller.credential.is_in(b"Bearer " + OURS.encode())
    assert OURS not in repr(caller)
    world.issuer.answer = UnauthenticatedError("no")
    with pytest.raises(UnauthenticatedError, match="workspace-authz login"):
        await world.caller(jwt({"iss": ISSUER, "jti": "another"}))
    assert world.reviews.tokens == []


@pytest.mark.parametrize("token", [FOREIGN, WITHOUT, "opaque", "a.b.c"])
async def test_other_tokens_are_the_api_servers(world: World, token: str) -> None:
    caller = await world.caller(token)
    assert isinstance(caller.credential, BearerToken)
    assert world.issuer.asked == []


async def test_it_is_asked_again_after_a_while_and_a_caller_is_confirmed(world: World) -> None:
    caller = await world.caller(OURS)
    assert await world.caller(OURS) == await world.chain.confirm(caller) == caller
    assert world.issuer.asked == [OURS]
    world.clock.advance(20)
    world.issuer.answer = UnauthenticatedError("no")
    with pytest.raises(UnauthenticatedError):
        await world.chain.confirm(caller)


@pytest.mark.parametrize("error", [ForbiddenError("in no group"), UnavailableError("away")])
async def test_what_is_no_rejection_is_not_remembered(world: World, error: Exception) -> None:
    world.issuer.answer = error
    with pytest.raises(type(error)):
        await world.caller(OURS)
    world.issuer.answer = ALICE
    assert (await world.caller(OURS)).user == ALICE
