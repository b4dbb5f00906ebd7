"""Generations: what a change touches gets another one, all else keeps its own, however many there are."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.fakes import ManualClock
from workspace_authz.authorizer.generations import Generations


@pytest.fixture
def generations(clock: ManualClock) -> Generations:
    return Generations(clock.monotonic)


def test_before_any_change(generations: Generations) -> None:
    assert generations.generation("a") == generations.generation("")
    assert generations.generation("a").since == -math.inf
    assert generations.followed_since is None


def test_a_change_in_a_namespace_touches_it_alone(generations: Generations, clock: ManualClock) -> None:
    before = {name: generations.generation(name) for name in ("", "a", "b")}
    clock.advance(5)
    generations.touch({"a"})
    assert generations.generation("a").number > before["a"].number
    assert generations.generation("a").since == clock.now
    assert {name: generations.generation(name) for name in ("", "b")} == {
        name: before[name] for name in ("", "b")
    }


def test_no_change_touches_nothing(generations: Generations) -> None:
    generations.touch(set())
    assert generations.generation("").number == 0


def names(count: int, begin: int = 0) -> list[str]:
    return [f"n{number}" for number in range(begin, begin + count)]


def test_many_changes_at_a_time_are_one_of_everything(generations: Generations) -> None:
    generations.touch(names(65))
    assert generations.generation("n0") == generations.generation("elsewhere") == generations.generation("")
    assert generations.generation("").number == 1


def test_what_is_counted_is_bounded_and_never_goes_back(generations: Generations) -> None:
    seen = {name: generations.generation(name).number for name in ("n0", "n1", "elsewhere")}
    for begin in range(0, 10_000, 50):
        generations.touch(names(50, begin))
        for name, number in seen.items():
            assert generations.generation(name).number >= number
            seen[name] = generations.generation(name).number
    assert seen["elsewhere"] > 0  # once in a while everything is touched, so that the rest can be forgotten


CHANGES = st.lists(st.sets(st.sampled_from(["", "a", "b", "c"]), min_size=1), max_size=12)


@given(CHANGES)
def test_a_number_never_comes_back(changes: list[set[str]]) -> None:
    """Whatever was remembered before a change that touches it can never hold again."""
    generations = Generations(ManualClock().monotonic)
    seen: dict[str, set[int]] = {name: {generations.generation(name).number} for name in ("", "a", "b", "c")}
    for touched in changes:
        if "" in touched:
            generations.touch_everywhere()
        else:
            generations.touch(touched)
        for name, numbers in seen.items():
            number = generations.generation(name).number
            if name in touched or "" in touched:
                assert number not in numbers
            numbers.add(number)
