"""Which namespace an object goes to, by the lines of a map."""

from __future__ import annotations

import pytest

from workspace_authz.cli import convert
from workspace_authz.convert.places import DEFAULT_WORKSPACE, read_places
from workspace_authz.types import Resource

MAP = """
* others
experiments/fraud* team-a
experiments/fraud team-b
"""


@pytest.mark.parametrize(("name", "namespace"), [("fraud", "team-b"), ("fraud-2", "others")])
def test_a_whole_name_counts_before_the_first_pattern_that_fits(name: str, namespace: str) -> None:
    places = read_places(MAP.splitlines(), workspaces=False)
    assert places.namespace(DEFAULT_WORKSPACE, Resource.EXPERIMENTS, name=name) == namespace


def test_the_command_says_so() -> None:
    assert (
        "A whole name counts\nbefore all patterns, and of these the first that fits." in convert._DESCRIPTION
    )
