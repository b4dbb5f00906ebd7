"""How many rejections an address may have: a bucket each, of which only rejections take."""

from __future__ import annotations

import asyncio

import pytest

from tests.harness.fakes import ManualClock, run_pending
from workspace_authz.errors import TooManyRequestsError
from workspace_authz.identity.rate_limit import BURST_SECONDS, LONGEST_DELAY_SECONDS, MOST_DELAYED, Rejections

PER_SECOND = 2.0
BURST = int(PER_SECOND * BURST_SECONDS)
PEER = "10.0.0.1"


class Unmoved(ManualClock):
    """No time passes while somebody waits for a refusal."""

    async def sleep(self, seconds: float) -> None:
        return


@pytest.fixture
def clock() -> Unmoved:
    return Unmoved()


@pytest.fixture
def rejections(clock: Unmoved) -> Rejections:
    return Rejections(clock, per_second=PER_SECOND, peers=3)


def spend(rejections: Rejections, peer: str = PEER, *, times: int = BURST) -> None:
    for _ in range(times):
        rejections.charge(peer)


async def test_so_many_at_first_and_then_none(rejections: Rejections) -> None:
    spend(rejections, times=BURST - 1)
    await rejections.admit(PEER)
    spend(rejections, times=1)
    with pytest.raises(TooManyRequestsError):
        await rejections.admit(PEER)


async def test_they_come_back_at_the_rate(rejections: Rejections, clock: ManualClock) -> None:
    spend(rejections)
    clock.advance(1 / PER_SECOND)
    await rejections.admit(PEER)
    rejections.charge(PEER)
    with pytest.raises(TooManyRequestsError):
        await rejections.admit(PEER)
    clock.advance(3600)
    spend(rejections)
    with pytest.raises(TooManyRequestsError):
        await rejections.admit(PEER)


@pytest.mark.parametrize(("debt", "wait"), [(0, "1"), (9, "5"), (10_000, "30")])
async def test_who_is_refused_hears_for_how_long(rejections: Rejections, debt: int, wait: str) -> None:
    spend(rejections, times=BURST + debt)
    with pytest.raises(TooManyRequestsError) as refusal:
        await rejections.admit(PEER)
    assert dict(refusal.value.headers) == {"retry-after": wait}


async def test_debts_are_paid_before_the_next_is_admitted(rejections: Rejections, clock: ManualClock) -> None:
    spend(rejections, times=BURST + 8)
    clock.advance(4)
    with pytest.raises(TooManyRequestsError):
        await rejections.admit(PEER)
    clock.advance(0.5)
    await rejections.admit(PEER)


async def test_one_address_does_not_answer_for_another(rejections: Rejections) -> None:
    spend(rejections)
    await rejections.admit("10.0.0.2")
    await rejections.admit("")


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("10.0.0.1", "10.0.0.2", False),
        ("unix:", "unix:", True),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_a_network_of_one_host_counts_as_one(
    rejections: Rejections, one: str, other: str, alike: bool
) -> None:
    spend(rejections, one)
    assert rejections.recent(other) is alike


def test_a_rejection_is_recent_until_it_has_come_back(rejections: Rejections, clock: ManualClock) -> None:
    assert not rejections.recent(PEER)
    rejections.charge(PEER)
    assert rejections.recent(PEER)
    clock.advance(1 / PER_SECOND)
    assert not rejections.recent(PEER)


def test_only_so_many_addresses_are_remembered(rejections: Rejections) -> None:
    for number in range(1000):
        rejections.charge(f"10.0.{number >> 8}.{number & 255}")
    assert len(rejections._left) == 3
    assert rejections.recent("10.0.3.231")


async def test_who_is_refused_waits_for_it_and_so_do_a_bounded_number() -> None:
    """Given an address in debt, when it asks on and on, then it waits, while there is place."""
    begin = asyncio.Event()

    class Waiting(ManualClock):
        async def sleep(self, seconds: float) -> None:
            assert seconds == LONGEST_DELAY_SECONDS / 4
            await begin.wait()

    rejections = Rejections(Waiting(), per_second=PER_SECOND, jitter=lambda: 0.25)
    spend(rejections)
    delayed = [asyncio.ensure_future(rejections.admit(PEER)) for _ in range(MOST_DELAYED)]
    await run_pending()
    assert not any(each.done() for each in delayed)
    with pytest.raises(TooManyRequestsError):  # at once: there is no place to wait
        await rejections.admit(PEER)
    await rejections.admit("10.0.0.2")  # nobody else waits

    delayed[0].cancel()  # a client that goes away gives its place to another
    await run_pending()
    another = asyncio.ensure_future(rejections.admit(PEER))
    await run_pending()
    assert not another.done()
    begin.set()
    told = await asyncio.gather(*delayed[1:], another, return_exceptions=True)
    assert {type(each) for each in told} == {TooManyRequestsError}
