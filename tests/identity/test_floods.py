"""Invented, expired and unknown tokens: few questions, little memory, and nothing lost for who is known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.harness.fakes import ManualClock, ScriptedReviews, run_pending
from tests.identity.jwts import jwt
from tests.identity.requests import authenticated
from workspace_authz.errors import TooManyRequestsError, UnauthenticatedError, UnavailableError
from workspace_authz.identity.rate_limit import LONGEST_DELAY_SECONDS
from workspace_authz.identity.tokens import TokenAuthenticator
from workspace_authz.identity.verified_tokens import TokenRules, TokenTerms
from workspace_authz.kubernetes.credentials import BearerToken
from workspace_authz.types import Credential, UserInfo

ALICE = UserInfo("alice")
INGRESS = "10.0.0.1"
BURST = 100
TERMS = TokenTerms(seconds=15, rejected_seconds=5, size=50, rejections_per_second=BURST / 10)


class Unmoved(ManualClock):
    """No time passes in a flood."""

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Lists:
    """An API server that knows some tokens, and who asks it: unverified and the known apart."""

    def __init__(self) -> None:
        self.clock = Unmoved()
        self.valid: dict[str, UserInfo] = {"alice": ALICE}
        self.known, self.unverified = _Listed(self.valid), _Listed(self.valid)
        self.prefetched: list[Credential] = []
        self.authenticator = TokenAuthenticator(
            self.known,
            TokenRules(self.clock, server_time=self.clock.time, terms=TERMS),
            unverified=self.unverified,
        )

    async def ask(self, token: str, peer: str = INGRESS) -> type[Exception] | UserInfo:
        try:
            return (await authenticated(self.authenticator, token, peer, self.prefetched.append)).user
        except (UnauthenticatedError, TooManyRequestsError, UnavailableError) as error:
            return type(error)

    async def flood(self, number: int, peer: Callable[[int], str] = lambda _: INGRESS) -> None:
        for index in range(number):
            assert await self.ask(f"invented-{index}", peer(index)) in (
                UnauthenticatedError,
                TooManyRequestsError,
            )


class _Listed(ScriptedReviews):
    def __init__(self, valid: dict[str, UserInfo]) -> None:
        super().__init__()
        self._valid = valid

    async def who(self, token: str) -> UserInfo:
        await super().who(token)
        if token not in self._valid:
            raise UnauthenticatedError("no")
        return self._valid[token]


@pytest.fixture
def lists() -> Lists:
    return Lists()


async def test_a_flood_costs_as_many_questions_as_it_may(lists: Lists) -> None:
    await lists.flood(20 * BURST)
    assert len(lists.unverified.tokens) == BURST
    assert 0 < sum(lists.clock.slept) < 19 * BURST * LONGEST_DELAY_SECONDS  # before each refusal
    assert await lists.ask("another") is TooManyRequestsError
    lists.clock.advance(1)
    await lists.flood(20 * BURST)
    assert len(lists.unverified.tokens) == BURST + BURST // 10
    assert lists.known.tokens == []


async def test_who_is_known_does_not_notice_a_flood(lists: Lists) -> None:
    """Not from the same address, nor when the identity must be asked for again, in the background or not."""
    assert await lists.ask("alice") == ALICE
    await lists.flood(2 * BURST)
    for seconds in (8, 8, 60, 3000):
        lists.clock.advance(seconds)
        await lists.flood(2 * BURST)
        assert await lists.ask("alice") == ALICE
        await run_pending()
    assert lists.known.tokens == ["alice"] * 4


async def test_a_token_that_was_rejected_is_unverified_again(lists: Lists) -> None:
    await lists.ask("alice")
    del lists.valid["alice"]
    lists.clock.advance(15)
    assert await lists.ask("alice") is UnauthenticatedError
    lists.clock.advance(5)
    assert await lists.ask("alice") is UnauthenticatedError
    assert (lists.known.tokens, lists.unverified.tokens) == (["alice"], ["alice"] * 2)


async def test_new_callers_still_get_through_at_the_rate(lists: Lists) -> None:
    await lists.flood(2 * BURST)
    assert await lists.ask("alice") is TooManyRequestsError
    lists.clock.advance(0.1)
    assert await lists.ask("alice") == ALICE


async def test_new_callers_from_elsewhere_do_not_notice(lists: Lists) -> None:
    await lists.flood(2 * BURST)
    assert await lists.ask("alice", "10.0.0.2") == ALICE


async def test_any_number_of_good_tokens_may_arrive_at_once(lists: Lists) -> None:
    lists.valid.update({f"user-{number}": UserInfo(f"user-{number}") for number in range(5 * BURST)})
    users = await asyncio.gather(*(lists.ask(f"user-{number}") for number in range(5 * BURST)))
    assert [user.username for user in users if isinstance(user, UserInfo)] == list(lists.valid)[1:]


async def test_an_api_server_that_fails_rejects_nobody(lists: Lists) -> None:
    lists.unverified.who_answer = UnavailableError("down")
    for number in range(2 * BURST):
        assert await lists.ask(f"token-{number}") is UnavailableError


async def test_memory_is_bounded_whatever_is_invented(lists: Lists) -> None:
    """Scaled down: 6,000 tokens from as many addresses, all looked at, none of them new to its address."""
    await lists.ask("alice")
    await lists.flood(6_000, lambda index: f"10.0.{index >> 8}.{index & 255}")
    assert len(lists.unverified.tokens) == 1 + 6_000
    authenticator = lists.authenticator._tokens
    caches = (authenticator._known, authenticator._rejected, authenticator._verified)
    assert [len(cache) for cache in caches] == [1, TERMS.size, 1]
    assert len(authenticator._rejections._left) == 4096
    assert len(authenticator._asking) == 0
    assert await lists.ask("alice") == ALICE


async def test_an_expired_token_is_refused_also_where_the_time_comes_with_the_answer() -> None:
    """Given an API server that has not been heard of late, which takes a token for longer than its time."""
    reviews, clock = ScriptedReviews(), ManualClock()
    authenticator = TokenAuthenticator(
        reviews, TokenRules(clock, server_time=lambda: clock.time() if reviews.tokens else None)
    )
    token = jwt({"exp": clock.time() - 1})
    with pytest.raises(UnauthenticatedError):
        await authenticated(authenticator, token)
    assert reviews.tokens == [token]


async def test_an_expired_token_costs_no_question(lists: Lists) -> None:
    token = jwt({"exp": lists.clock.time()})
    lists.valid[token] = ALICE  # kube-apiserver has a leeway
    assert await lists.ask(token) is UnauthenticatedError
    assert lists.unverified.tokens == []
    assert lists.prefetched == []
    assert not lists.authenticator._tokens._rejections.recent(INGRESS)


async def test_without_the_api_servers_time_it_is_asked() -> None:
    reviews, clock = ScriptedReviews(), ManualClock()
    authenticator = TokenAuthenticator(reviews, TokenRules(clock))
    await authenticated(authenticator, jwt({"exp": 1}))
    await authenticated(authenticator, jwt({"exp": 1}))
    assert len(reviews.tokens) == 1


async def test_an_identity_ends_with_its_token(lists: Lists) -> None:
    token = jwt({"exp": lists.clock.time() + 3})
    lists.valid[token] = ALICE
    assert await lists.ask(token) == ALICE
    lists.clock.advance(2.9)
    assert await lists.ask(token) == ALICE
    lists.clock.advance(0.1)
    assert await lists.ask(token) is UnauthenticatedError
    assert len(lists.unverified.tokens) == 1


async def test_a_claim_opens_nothing(lists: Lists) -> None:
    token = jwt({"exp": lists.clock.time() + 10_000, "sub": "system:admin", "groups": ["system:masters"]})
    assert await lists.ask(token) is UnauthenticatedError


async def test_reviews_are_prefetched_for_unverified_tokens_but_not_in_a_flood(lists: Lists) -> None:
    """Invented tokens would cost two reviews each."""
    lists.valid["dora"] = UserInfo("dora")
    await lists.ask("alice")
    await lists.ask("alice")  # known by now
    assert lists.prefetched == [BearerToken("alice")]
    await lists.flood(1)
    await lists.ask("dora")
    assert lists.prefetched == [BearerToken("alice"), BearerToken("invented-0")]
    lists.clock.advance(BURST)
    await lists.ask("dora")
    assert lists.prefetched[2:] == [BearerToken("dora")]
