"""Numbers follow from names, on every replica, and never stand for two things."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspace_authz.errors import MissingError
from workspace_authz.grants.ids import number_of, numbered

NAMES = st.lists(st.text(max_size=8), min_size=1, max_size=4)


@dataclass(frozen=True)
class Thing:
    number: int


@given(NAMES, NAMES)
def test_other_names_have_other_numbers(one: list[str], other: list[str]) -> None:
    assert (number_of(*one) == number_of(*other)) is (one == other)
    assert 0 < number_of(*one) < 2**53


def test_a_number_is_the_same_in_every_process() -> None:
    assert number_of("role", "team-a", "ClusterRole", "mlflow-view") == 4074365539044212


def test_what_is_meant_is_never_guessed() -> None:
    things = [Thing(1), Thing(2), Thing(2)]
    assert numbered(things, 1, what="thing") is things[0]
    for number in (2, 3):
        with pytest.raises(MissingError, match=f"thing: {number}"):
            numbered(things, number, what="thing")
