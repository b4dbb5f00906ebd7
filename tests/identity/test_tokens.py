"""Who a token belongs to: asked once, remembered shortly, forgotten when the API server says so."""

from __future__ import annotations

import asyncio

import pytest

from tests.harness.fakes import ManualClock, ScriptedReviews, run_pending
from tests.identity.requests import authenticated
from workspace_authz.errors import UnauthenticatedError, UnavailableError
from workspace_authz.identity.tokens import TokenAuthenticator
from workspace_authz.identity.verified_tokens import TokenRules, TokenTerms
from workspace_authz.kubernetes.credentials import BearerToken
from workspace_authz.kubernetes.reviews import REJECTED
from workspace_authz.types import UserInfo

ALICE = UserInfo("alice")
RENAMED = UserInfo("alice", groups=("other",))


@pytest.fixture
def reviews() -> ScriptedReviews:
    reviews = ScriptedReviews()
    reviews.who_answer = ALICE
    return reviews


@pytest.fixture
def authenticator(reviews: ScriptedReviews, clock: ManualClock) -> TokenAuthenticator:
    return TokenAuthenticator(
        reviews, TokenRules(clock, terms=TokenTerms(seconds=15, rejected_seconds=5, size=3))
    )


async def test_the_caller_carries_the_user_and_the_credential(authenticator: TokenAuthenticator) -> None:
    caller = await authenticated(authenticator, "t")
    assert (caller.user, caller.credential) == (ALICE, BearerToken("t"))


async def test_a_known_token_is_not_asked_about_again(
    authenticator: TokenAuthenticator, reviews: ScriptedReviews, clock: ManualClock
) -> None:
    for _ in range(3):
        await authenticated(authenticator, "t")
        clock.advance(2)
    assert reviews.tokens == ["t"]


async def test_at_the_end_of_its_life_the_token_is_asked_about_before_the_answer(
    authenticator: TokenAuthenticator, reviews: ScriptedReviews, clock: ManualClock
) -> None:
    await authenticated(authenticator, "t")
    clock.advance(15)
    reviews.who_answer = RENAMED
    assert (await authenticated(authenticator, "t")).user == RENAMED


async def test_a_token_in_use_is_refreshed_in_the_background(
    authenticator: TokenAuthenticator, reviews: ScriptedReviews, clock: ManualClock
) -> None:
    await authenticated(authenticator, "t")
    clock.advance(7.5)
    reviews.who_answer = RENAMED
    reviews.hold()
    for _ in range(3):
        assert (await authenticated(authenticator, "t")).user == ALICE  # nobody waits
    await run_pending()
    assert reviews.tokens == ["t", "t"]  # and only one refresh is under way
    reviews.release()
    await run_pending()
    assert (await authenticated(authenticator, "t")).user == RENAMED
    clock.advance(14)
    assert (await authenticated(authenticator, "t")).user == RENAMED


async def test_a_refresh_that_is_rejected_ends_the_identity(
    authenticator: TokenAuthenticator, reviews: ScriptedReviews, clock: ManualClock
) -> None:
    await authenticated(authenticator, "t")
    clock.advance(8)
    reviews.who_answer = UnauthenticatedError("gone")
    await authenticated(authenticator, "t")
    await run_pending()
    with pytest.raises(UnauthenticatedError):
        await authenticated(authenticator, "t")


async def test_a_refresh_that_fails_does_not_lengthen_the_identity(
    authenticator: TokenAuthenticator, reviews: ScriptedReviews, clock: ManualClock
) -> None:
    await authenticated(authenticator, "t")
    clock.advance(8)
    reviews.who_answer = UnavailableError("down")
    assert (await authenticated(authenticator, "t")).user == ALICE
    await run_pending()
    clock.advance(7)
    with pytest.raises(UnavailableError):
        await authenticated(authenticator, "t")


async def test_an_answer_counts_from_when_it_was_asked_for(
    authenticator: TokenAuthenticator, reviews: ScriptedReviews, clock: ManualClock
) -> None:
    reviews.hold()
    asking = asyncio.create_task(authenticated(authenticator, "t"))
    await run_pending()
    clock.advance(9)
    reviews.release()
    await asking
    clock.advance(6)
    reviews.hold()
    asking = asyncio.create_task(authenticated(authenticator, "t"))
    await run_pending()
    assert not asking.done()
    reviews.release()
    assert (await asking).user == ALICE


@pytest.mark.parametrize("busy", [True, False])
async def test_a_deleted_account_is_refused_within_30_seconds(
    authenticator: TokenAuthenticator, reviews: ScriptedReviews, clock: ManualClock, busy: bool
) -> None:
    """kube-apiserver itself remembers a service account's token for 10 s (``TokenSuccessCacheTTL``)."""
    await authenticated(authenticator, "t")
    passed = 0.0
    while True:
        clock.advance(0.5 if busy else 14.5)
        passed += 0.5 if busy else 14.5
        if passed >= 10:
            reviews.who_answer = UnauthenticatedError("deleted")
        await run_pending()
        try:
            await authenticated(authenticator, "t")
        except UnauthenticatedError:
            break
    assert passed < 30


async def test_identical_questions_in_flight_are_asked_once(
    authenticator: TokenAuthenticator, reviews: ScriptedReviews
) -> None:
    reviews.hold()
    waiting = [asyncio.create_task(authenticated(authenticator, "t")) for _ in range(10)]
    await run_pending()
    assert reviews.tokens == ["t"]
    waiting[0].cancel()
    reviews.release()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert [getattr(result, "user", None) for result in results[1:]] == [ALICE] * 9


async def test_a_rejection_is_remembered_for_its_own_time(
    authenticator: TokenAuthenticator, reviews: ScriptedReviews, clock: ManualClock
) -> None:
    reviews.who_answer = UnauthenticatedError("bad")
    for _ in range(2):
        with pytest.raises(UnauthenticatedError) as refusal:
            await authenticated(authenticator, "t")
        assert refusal.value.message == f"{REJECTED} The token was read from Authorization (Bearer)."
    assert reviews.tokens == ["t"]
    clock.advance(5)
    reviews.who_answer = ALICE
    assert (await authenticated(authenticator, "t")).user == ALICE


async def test_an_error_is_never_remembered(
    authenticator: TokenAuthenticator, reviews: ScriptedReviews
) -> None:
    reviews.who_answer = UnavailableError("down")
    for _ in range(2):
        with pytest.raises(UnavailableError):
            await authenticated(authenticator, "t")
    assert reviews.tokens == ["t", "t"]
    reviews.who_answer = ALICE
    assert (await authenticated(authenticator, "t")).user == ALICE


async def test_invented_tokens_cannot_push_a_known_caller_out(
    authenticator: TokenAuthenticator, reviews: ScriptedReviews
) -> None:
    await authenticated(authenticator, "alice")
    reviews.who_answer = UnauthenticatedError("bad")
    for number in range(20):
        with pytest.raises(UnauthenticatedError):
            await authenticated(authenticator, f"invented-{number}")
    assert (await authenticated(authenticator, "alice")).user == ALICE


async def test_no_more_than_size_callers_are_known(
    authenticator: TokenAuthenticator, reviews: ScriptedReviews
) -> None:
    for token in ("a", "b", "c", "d"):
        await authenticated(authenticator, token)
    await authenticated(authenticator, "d")
    await authenticated(authenticator, "a")
    assert reviews.tokens == ["a", "b", "c", "d", "a"]


async def test_tokens_are_not_kept(authenticator: TokenAuthenticator, reviews: ScriptedReviews) -> None:
    token = "a-token-that-must-not-be-kept"
    await authenticated(authenticator, token)
    reviews.who_answer = UnauthenticatedError("bad")
    with pytest.raises(UnauthenticatedError):
        await authenticated(authenticator, "x" + token)
    assert token not in _everything_in(authenticator, spare=reviews)


async def test_two_processes_know_a_token_by_different_keys(
    reviews: ScriptedReviews, clock: ManualClock
) -> None:
    first, second = (TokenAuthenticator(reviews, TokenRules(clock)) for _ in range(2))
    await authenticated(first, "t")
    await authenticated(second, "t")
    assert set(first._tokens._known._entries).isdisjoint(second._tokens._known._entries)


def _everything_in(thing: object, *, spare: object) -> str:
    """Every attribute, entry and element that can be reached, as text."""
    seen: set[int] = {id(spare)}
    found: list[str] = []

    def walk(value: object) -> None:
        if id(value) in seen:
            return
        seen.add(id(value))
        found.append(repr(value))
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(key)
                walk(inner)
        elif isinstance(value, (list, tuple, set, frozenset)):
            for inner in value:
                walk(inner)
        elif hasattr(value, "__dict__"):
            walk(vars(value))
        else:
            for slot in getattr(type(value), "__slots__", ()):
                walk(getattr(value, slot))

    walk(thing)
    return "\n".join(found)
