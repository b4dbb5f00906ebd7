"""Generations: what a change touches gets another one, all else keeps its own, however many there are."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.fakes import ManualClock
from workspace_authz.authorizer.coherence import Coherence


@pytest.fixture
def coherence(clock: ManualClock) -> Coherence:
    return Coherence(clock.monotonic)


def test_before_any_change(coherence: Coherence) -> None:
    assert coherence.generation("a") == coherence.generation("")
    assert coherence.generation("a").since == -math.inf
    assert coherence.followed_since is None


def test_a_change_in_a_namespace_touches_it_alone(coherence: Coherence, clock: ManualClock) -> None:
    before = {name: coherence.generation(name) for name in ("", "a", "b")}
    clock.advance(5)
    coherence.touch({"a"})
    assert coherence.generation("a").number > before["a"].number
    assert coherence.generation("a").since == clock.now
    assert {name: coherence.generation(name) for name in ("", "b")} == {
        name: before[name] for name in ("", "b")
    }


def test_no_change_touches_nothing(coherence: Coherence) -> None:
    coherence.touch(set())
    assert coherence.generation("").number == 0


def names(count: int, begin: int = 0) -> list[str]:
    return [f"n{number}" for number in range(begin, begin + count)]


def test_many_changes_at_a_time_are_one_of_everything(coherence: Coherence) -> None:
    coherence.touch(names(65))
    assert coherence.generation("n0") == coherence.generation("elsewhere") == coherence.generation("")
    assert coherence.generation("").number == 1


def test_what_is_counted_is_bounded_and_never_goes_back(coherence: Coherence) -> None:
    seen = {name: coherence.generation(name).number for name in ("n0", "n1", "elsewhere")}
    for begin in range(0, 10_000, 50):
        coherence.touch(names(50, begin))
        for name, number in seen.items():
            assert coherence.generation(name).number >= number
            seen[name] = coherence.generation(name).number
    assert seen["elsewhere"] > 0  # once in a while everything is touched, so that the rest can be forgotten


CHANGES = st.lists(st.sets(st.sampled_from(["", "a", "b", "c"]), min_size=1), max_size=12)


@given(CHANGES)
def test_a_number_never_comes_back(changes: list[set[str]]) -> None:
    """Whatever was remembered before a change that touches it can never hold again."""
    coherence = Coherence(ManualClock().monotonic)
    seen: dict[str, set[int]] = {name: {coherence.generation(name).number} for name in ("", "a", "b", "c")}
    for touched in changes:
        if "" in touched:
            coherence.touch_everywhere()
        else:
            coherence.touch(touched)
        for name, numbers in seen.items():
            number = coherence.generation(name).number
            if name in touched or "" in touched:
                assert number not in numbers
            numbers.add(number)
