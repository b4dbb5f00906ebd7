"""Who a token belongs to: asked once, remembered shortly, forgotten when the API server says so."""

from __future__ import annotations

import asyncio

import pytest

from tests.harness.fakes import ManualClock, ScriptedReviews, settle
from workspace_authz.errors import UnauthenticatedError, UnavailableError
from workspace_authz.identity.tokens import Authenticator, Terms
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
def authenticator(reviews: ScriptedReviews, clock: ManualClock) -> Authenticator:
    return Authenticator(
        reviews, monotonic=clock.monotonic, terms=Terms(seconds=15, rejected_seconds=5, size=3)
    )


async def test_the_caller_carries_the_user_and_the_token(authenticator: Authenticator) -> None:
    caller = await authenticator.authenticate("t")
    assert (caller.user, caller.token) == (ALICE, "t")


async def test_a_known_token_is_not_asked_about_again(
    authenticator: Authenticator, reviews: ScriptedReviews, clock: ManualClock
) -> None:
    for _ in range(3):
        await authenticator.authenticate("t")
        clock.advance(2)
    assert reviews.tokens == ["t"]


async def test_at_the_end_of_its_life_the_token_is_asked_about_before_the_answer(
    authenticator: Authenticator, reviews: ScriptedReviews, clock: ManualClock
) -> None:
    await authenticator.authenticate("t")
    clock.advance(15)
    reviews.who_answer = RENAMED
    assert (await authenticator.authenticate("t")).user == RENAMED


async def test_a_token_in_use_is_refreshed_in_the_background(
    authenticator: Authenticator, reviews: ScriptedReviews, clock: ManualClock
) -> None:
    await authenticator.authenticate("t")
    clock.advance(7.5)
    reviews.who_answer = RENAMED
    reviews.hold()
    for _ in range(3):
        assert (await authenticator.authenticate("t")).user == ALICE  # nobody waits
    await settle()
    assert reviews.tokens == ["t", "t"]  # and only one refresh is under way
    reviews.release()
    await settle()
    assert (await authenticator.authenticate("t")).user == RENAMED
    clock.advance(14)
    assert (await authenticator.authenticate("t")).user == RENAMED


async def test_a_refresh_that_is_rejected_ends_the_identity(
    authenticator: Authenticator, reviews: ScriptedReviews, clock: ManualClock
) -> None:
    await authenticator.authenticate("t")
    clock.advance(8)
    reviews.who_answer = UnauthenticatedError("gone")
    await authenticator.authenticate("t")
    await settle()
    with pytest.raises(UnauthenticatedError):
        await authenticator.authenticate("t")


async def test_a_refresh_that_fails_does_not_lengthen_the_identity(
    authenticator: Authenticator, reviews: ScriptedReviews, clock: ManualClock
) -> None:
    await authenticator.authenticate("t")
    clock.advance(8)
    reviews.who_answer = UnavailableError("down")
    assert (await authenticator.authenticate("t")).user == ALICE
    await settle()
    clock.advance(7)
    with pytest.raises(UnavailableError):
        await authenticator.authenticate("t")


async def test_an_answer_counts_from_when_it_was_asked_for(
    authenticator: Authenticator, reviews: ScriptedReviews, clock: ManualClock
) -> None:
    reviews.hold()
    asking = asyncio.create_task(authenticator.authenticate("t"))
    await settle()
    clock.advance(9)
    reviews.release()
    await asking
    clock.advance(6)
    assert authenticator.known("t") is None


@pytest.mark.parametrize("busy", [True, False])
async def test_a_deleted_account_is_refused_within_30_seconds(
    authenticator: Authenticator, reviews: ScriptedReviews, clock: ManualClock, busy: bool
) -> None:
    """kube-apiserver itself remembers a service account's token for 10 s (``TokenSuccessCacheTTL``)."""
    await authenticator.authenticate("t")
    passed = 0.0
    while True:
        clock.advance(0.5 if busy else 14.5)
        passed += 0.5 if busy else 14.5
        if passed >= 10:
            reviews.who_answer = UnauthenticatedError("deleted")
        await settle()
        try:
            await authenticator.authenticate("t")
        except UnauthenticatedError:
            break
    assert passed < 30


async def test_identical_questions_in_flight_are_asked_once(
    authenticator: Authenticator, reviews: ScriptedReviews
) -> None:
    reviews.hold()
    waiting = [asyncio.create_task(authenticator.authenticate("t")) for _ in range(10)]
    await settle()
    assert reviews.tokens == ["t"]
    waiting[0].cancel()
    reviews.release()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert [getattr(result, "user", None) for result in results[1:]] == [ALICE] * 9


async def test_a_rejection_is_remembered_for_its_own_time(
    authenticator: Authenticator, reviews: ScriptedReviews, clock: ManualClock
) -> None:
    reviews.who_answer = UnauthenticatedError("bad")
    for _ in range(2):
        with pytest.raises(UnauthenticatedError) as refusal:
            await authenticator.authenticate("t")
        assert refusal.value.message == REJECTED
    assert reviews.tokens == ["t"]
    clock.advance(5)
    reviews.who_answer = ALICE
    assert (await authenticator.authenticate("t")).user == ALICE


async def test_an_error_is_never_remembered(authenticator: Authenticator, reviews: ScriptedReviews) -> None:
    reviews.who_answer = UnavailableError("down")
    for _ in range(2):
        with pytest.raises(UnavailableError):
            await authenticator.authenticate("t")
    assert reviews.tokens == ["t", "t"]
    reviews.who_answer = ALICE
    assert (await authenticator.authenticate("t")).user == ALICE


async def test_invented_tokens_cannot_push_a_known_caller_out(
    authenticator: Authenticator, reviews: ScriptedReviews
) -> None:
    await authenticator.authenticate("alice")
    reviews.who_answer = UnauthenticatedError("bad")
    for number in range(20):
        with pytest.raises(UnauthenticatedError):
            await authenticator.authenticate(f"invented-{number}")
    assert (await authenticator.authenticate("alice")).user == ALICE


async def test_no_more_than_size_callers_are_known(
    authenticator: Authenticator, reviews: ScriptedReviews
) -> None:
    for token in ("a", "b", "c", "d"):
        await authenticator.authenticate(token)
    await authenticator.authenticate("d")
    await authenticator.authenticate("a")
    assert reviews.tokens == ["a", "b", "c", "d", "a"]


async def test_tokens_are_not_kept(authenticator: Authenticator, reviews: ScriptedReviews) -> None:
    token = "a-token-that-must-not-be-kept"
    await authenticator.authenticate(token)
    reviews.who_answer = UnauthenticatedError("bad")
    with pytest.raises(UnauthenticatedError):
        await authenticator.authenticate("x" + token)
    assert token not in _everything_in(authenticator, spare=reviews)


async def test_two_processes_know_a_token_by_different_keys(
    reviews: ScriptedReviews, clock: ManualClock
) -> None:
    first, second = (Authenticator(reviews, monotonic=clock.monotonic) for _ in range(2))
    await first.authenticate("t")
    await second.authenticate("t")
    assert set(first._known._entries).isdisjoint(second._known._entries)


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
