"""The API server's clock as its answers tell it."""

from __future__ import annotations

import pytest

from tests.harness.fakes import ManualClock
from workspace_authz.kubernetes.answer_times import ServerTime

DATE, SECONDS = "Sat, 01 Mar 2031 12:00:00 GMT", 1930132800.0


def test_it_is_unknown_until_the_first_answer() -> None:
    assert ServerTime(ManualClock().monotonic).now() is None


def test_it_goes_on_by_itself_and_is_set_by_each_answer() -> None:
    clock = ManualClock()
    time = ServerTime(clock.monotonic)
    time.heard(DATE)
    assert time.now() == SECONDS
    clock.advance(7.5)
    assert time.now() == SECONDS + 7.5
    time.heard("Sat, 01 Mar 2031 12:00:30 GMT")
    assert time.now() == SECONDS + 30
    time.heard(DATE)  # it was set back, or another server answers
    assert time.now() == SECONDS


def test_the_same_second_again_does_not_set_it_back() -> None:
    clock = ManualClock()
    time = ServerTime(clock.monotonic)
    time.heard(DATE)
    clock.advance(0.9)
    time.heard(DATE)
    assert time.now() == SECONDS + 0.9


def test_an_answer_is_believed_for_half_a_minute() -> None:
    """Given a server whose clock is wrong, then what it said keeps nobody out for good."""
    clock = ManualClock()
    time = ServerTime(clock.monotonic)
    time.heard(DATE)
    clock.advance(30)
    assert time.now() == SECONDS + 30
    clock.advance(1)
    assert time.now() is None
    time.heard("Sat, 01 Mar 2031 12:00:31 GMT")
    assert time.now() == SECONDS + 31


@pytest.mark.parametrize("date", [None, "", "now", "1930132800", "Sat, 99 Mar 2031 12:00:00 GMT"])
def test_what_is_no_date_is_ignored(date: str | None) -> None:
    time = ServerTime(ManualClock().monotonic)
    time.heard(DATE)
    time.heard(date)
    assert time.now() == SECONDS
