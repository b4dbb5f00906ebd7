"""Nothing that somebody of team-a sends reads or changes what they have no right on, there or elsewhere.

``make fuzz`` tries for longer, with another seed each time. ``FUZZ_EXAMPLES`` and ``FUZZ_SEED`` choose.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from random import Random
from typing import Final
from zlib import crc32

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.attempts import (
    at_random,
    each_header,
    each_key_twice,
    each_place,
    each_position,
    nothing_changed,
)
from tests.fuzz.words import DEFAULT
from tests.fuzz.world import Site, World, furnished_site, operations
from tests.scenarios.naming import COUNT
from tests.scenarios.people import TEAM_A
from workspace_authz.catalog.entries import Entry
from workspace_authz.catalog.model import Public, Refused

EXAMPLES: Final = int(os.environ.get("FUZZ_EXAMPLES", "4"))
"""Per operation."""
NAMED_SHARE: Final = 8
"""One of so many is for rights on names, which need no chance to be tried in every position."""
SEED: Final = os.environ.get("FUZZ_SEED", "")
OPERATIONS: Final = operations()
GUARDED: Final = [
    operation
    for operation, entries in OPERATIONS.items()
    if not isinstance(entries[0].route.policy, Public | Refused)
]
"""What depends on who asks for what, and where."""

IN_DEFAULT: Final = [
    operation for operation in OPERATIONS if "Artifact" in operation or "Upload" in operation
]
"""What MLflow's default workspace could reach: its artifacts lie above those of all others."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with furnished_site(tmp_path_factory.mktemp("fuzz")) as site:
        yield site


@pytest.fixture(scope="module")
def world(site: Site) -> Iterator[World]:
    """As somebody of team-a sees it."""
    with site.world(TEAM_A) as world:
        yield world


@pytest.fixture(scope="module")
def default(site: Site) -> Iterator[World]:
    """As somebody of MLflow's default workspace sees it."""
    with site.world(DEFAULT) as world:
        yield world


@pytest.mark.parametrize("operation", OPERATIONS)
def test_foreign_objects_in_every_position(world: World, operation: str) -> None:
    each_position(world, OPERATIONS[operation][0])
    each_place(world, OPERATIONS[operation][0])
    nothing_changed(world)


@pytest.mark.parametrize("operation", GUARDED)
def test_headers_lead_nowhere_else(world: World, operation: str) -> None:
    each_header(world, OPERATIONS[operation][-1], turn=GUARDED.index(operation))
    nothing_changed(world)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_calls_of_every_kind(world: World, operation: str) -> None:
    try_at_random(world, operation, examples=EXAMPLES)


def test_it_was_worth_trying(world: World) -> None:
    """Given that many requests were let through, the rest were refused for a reason."""
    assert sum(status < 300 for status in world.statuses) > len(world.statuses) / 10


@pytest.mark.parametrize("operation", IN_DEFAULT)
def test_artifacts_from_the_default_workspace(default: World, operation: str) -> None:
    each_position(default, OPERATIONS[operation][0])
    each_place(default, OPERATIONS[operation][0])
    try_at_random(default, operation, examples=3 * EXAMPLES)


@pytest.fixture(scope="module")
def named(site: Site) -> Iterator[World]:
    """As somebody sees it who has rights on objects of team-a that are made from now on."""
    with site.named_world() as world:
        yield world


@pytest.mark.parametrize("operation", GUARDED)
def test_siblings_of_what_may_be_touched(named: World, operation: str) -> None:
    each_position(named, OPERATIONS[operation][0])
    each_key_twice(named, OPERATIONS[operation][0])
    nothing_changed(named)
    if EXAMPLES >= NAMED_SHARE:
        try_at_random(named, operation, examples=EXAMPLES // NAMED_SHARE)


def test_rights_on_names_were_worth_trying(named: World) -> None:
    """Given that there are rights on so many names, the objects that were made bear them."""
    assert int(named.names().rpartition("-")[2]) < COUNT
    assert sum(status < 300 for status in named.statuses) > len(named.statuses) / 10


def try_at_random(world: World, operation: str, *, examples: int) -> None:
    """Calls of one operation, other ones for each operation and seed."""

    @seed(crc32(f"{operation} {SEED}".encode()))
    @settings(
        max_examples=examples,
        phases=(Phase.generate,),  # the server remembers: a shorter call would meet another world
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(OPERATIONS[operation]), st.randoms(use_true_random=False))
    def attempt(entry: Entry, rng: Random) -> None:
        at_random(world, entry, rng)

    attempt()
    nothing_changed(world)
