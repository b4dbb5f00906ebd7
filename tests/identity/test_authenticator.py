"""A chain of authenticators: the first that knows the kind of credential decides."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.harness.fakes import ManualClock, ScriptedReviews
from tests.identity.jwts import jwt
from workspace_authz.aio.statistics import Statistics
from workspace_authz.errors import UnauthenticatedError, UnavailableError
from workspace_authz.identity.authenticator import AuthenticatorChain, Presented
from workspace_authz.identity.credentials import HOW_TO
from workspace_authz.identity.tokens import TokenAuthenticator
from workspace_authz.identity.verified_tokens import TokenRules
from workspace_authz.kubernetes.credentials import AssertedUser, BearerToken
from workspace_authz.types import Caller, Credential, UserInfo

ALICE, BOB = UserInfo("alice"), UserInfo("bob")
TOKEN = (b"authorization", b"Bearer t")
ASSERTION = (b"x-asserted-user", b"bob")


class Assertions:
    """An authenticator that believes a header."""

    def __init__(self) -> None:
        self.asked = 0
        self.statistics = Statistics()

    async def authenticate(
        self, presented: Presented, *, unverified: Callable[[Credential], None]
    ) -> Caller | None:
        self.asked += 1
        names = dict(presented.headers)
        return Caller(BOB, AssertedUser()) if ASSERTION[0] in names else None

    def workspaces(self, presented: Presented) -> tuple[str, ...]:
        return ()

    async def confirm(self, caller: Caller) -> Caller | None:
        self.asked += 1
        return caller if isinstance(caller.credential, AssertedUser) else None


@pytest.fixture
def tokens(reviews: ScriptedReviews, clock: ManualClock) -> TokenAuthenticator:
    return TokenAuthenticator(reviews, TokenRules(clock, server_time=clock.time))


@pytest.fixture
def assertions() -> Assertions:
    return Assertions()


@pytest.fixture
def chain(tokens: TokenAuthenticator, assertions: Assertions) -> AuthenticatorChain:
    return AuthenticatorChain((tokens, assertions))


async def authenticate(chain: AuthenticatorChain, *headers: tuple[bytes, bytes]) -> Caller:
    return await chain.authenticate(Presented(headers), unverified=lambda _: None)


async def test_the_next_is_asked_when_the_first_finds_nothing_of_its_kind(
    chain: AuthenticatorChain, reviews: ScriptedReviews
) -> None:
    caller = await authenticate(chain, ASSERTION)
    assert (caller.user, caller.credential) == (BOB, AssertedUser())
    assert reviews.tokens == []


async def test_the_first_that_knows_the_caller_decides(
    chain: AuthenticatorChain, assertions: Assertions
) -> None:
    caller = await authenticate(chain, TOKEN, ASSERTION)
    assert (caller.user.username, caller.credential) == ("alice", BearerToken("t"))
    assert assertions.asked == 0


@pytest.mark.parametrize(
    ("header", "answer"),
    [
        (TOKEN, UnauthenticatedError("gone")),
        ((b"authorization", b"Bearer two words"), ALICE),
    ],
)
async def test_a_bad_credential_is_refused_and_no_other_kind_is_tried(
    chain: AuthenticatorChain,
    reviews: ScriptedReviews,
    assertions: Assertions,
    header: tuple[bytes, bytes],
    answer: UserInfo | Exception,
) -> None:
    """Otherwise a caller with an expired token would be somebody else."""
    reviews.who_answer = answer
    with pytest.raises(UnauthenticatedError):
        await authenticate(chain, header, ASSERTION)
    assert assertions.asked == 0


async def test_an_outage_is_no_reason_to_try_another_kind(
    chain: AuthenticatorChain, reviews: ScriptedReviews, assertions: Assertions
) -> None:
    reviews.who_answer = UnavailableError("down")
    with pytest.raises(UnavailableError):
        await authenticate(chain, TOKEN, ASSERTION)
    assert assertions.asked == 0


async def test_a_request_without_a_credential_is_told_how_to_get_one(chain: AuthenticatorChain) -> None:
    with pytest.raises(UnauthenticatedError, match="carries no Kubernetes token") as refusal:
        await authenticate(chain, (b"accept", b"*/*"))
    assert HOW_TO in refusal.value.message


async def test_headers_that_present_nothing_are_named(chain: AuthenticatorChain) -> None:
    with pytest.raises(UnauthenticatedError, match="carries no Kubernetes token") as refusal:
        await authenticate(chain, (b"authorization", b"Bearer "), (b"x-forwarded-access-token", b""))
    assert "empty: Authorization (Bearer), X-Forwarded-Access-Token." in refusal.value.message


async def test_the_credential_is_told_before_its_owner_is_known(
    chain: AuthenticatorChain, reviews: ScriptedReviews
) -> None:
    told: list[Credential] = []
    asked_before: list[int] = []

    def unverified(credential: Credential) -> None:
        told.append(credential)
        asked_before.append(len(reviews.tokens))

    for _ in range(2):
        await chain.authenticate(Presented([TOKEN]), unverified=unverified)
    assert (told, asked_before) == ([BearerToken("t")], [0])  # the second request is that of a known caller


async def test_each_caller_is_confirmed_by_their_own_kind(chain: AuthenticatorChain) -> None:
    for header in (TOKEN, ASSERTION):
        caller = await authenticate(chain, header)
        assert await chain.confirm(caller) == caller


async def test_a_credential_of_no_kind_is_not_confirmed(tokens: TokenAuthenticator) -> None:
    with pytest.raises(UnauthenticatedError):
        await AuthenticatorChain((tokens,)).confirm(Caller(BOB, AssertedUser()))


async def test_a_known_caller_is_confirmed_without_a_question(
    tokens: TokenAuthenticator, reviews: ScriptedReviews
) -> None:
    caller = await authenticate(AuthenticatorChain((tokens,)), TOKEN)
    await tokens.confirm(caller)
    assert reviews.tokens == ["t"]


async def test_confirming_tells_what_has_changed(
    tokens: TokenAuthenticator, reviews: ScriptedReviews, clock: ManualClock
) -> None:
    caller = await authenticate(AuthenticatorChain((tokens,)), TOKEN)
    clock.advance(15)
    reviews.who_answer = UserInfo("alice", groups=("other",))
    confirmed = await tokens.confirm(caller)
    assert confirmed is not None
    assert confirmed.user.groups == ("other",)


async def test_a_credential_that_is_withdrawn_is_not_confirmed(
    tokens: TokenAuthenticator, reviews: ScriptedReviews, clock: ManualClock
) -> None:
    caller = await authenticate(AuthenticatorChain((tokens,)), TOKEN)
    clock.advance(15)
    reviews.who_answer = UnauthenticatedError("gone")
    for _ in range(2):
        with pytest.raises(UnauthenticatedError):
            await tokens.confirm(caller)
    assert reviews.tokens == ["t", "t"]


async def test_an_expired_credential_is_not_confirmed(
    tokens: TokenAuthenticator, reviews: ScriptedReviews, clock: ManualClock
) -> None:
    """It costs no question: the token itself says when it ends."""
    token = jwt({"exp": clock.time() + 3})
    header = (b"authorization", f"Bearer {token}".encode())
    caller = await authenticate(AuthenticatorChain((tokens,)), header)
    clock.advance(3)
    with pytest.raises(UnauthenticatedError):
        await tokens.confirm(caller)
    assert reviews.tokens == [token]


def test_the_statistics_are_those_of_all(chain: AuthenticatorChain, tokens: TokenAuthenticator) -> None:
    assert chain.statistics == (tokens.statistics, Statistics())
