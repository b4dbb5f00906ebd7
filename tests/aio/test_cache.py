"""The bounded cache with expiring entries."""

from __future__ import annotations

from tests.harness.fakes import ManualClock
from workspace_authz.aio.cache import ExpiringCache


def cache_of(size: int, clock: ManualClock) -> ExpiringCache[str, int]:
    return ExpiringCache(size=size, monotonic=clock.monotonic)


def test_an_entry_lives_exactly_as_long_as_it_was_given(clock: ManualClock) -> None:
    cache = cache_of(3, clock)
    cache.put("a", 1, seconds=10)
    clock.advance(9.999)
    assert cache.get("a") == 1
    clock.advance(0.001)
    assert cache.get("a") is None
    assert len(cache) == 0  # an expired entry does not keep its place


def test_the_least_recently_used_entry_leaves_first(clock: ManualClock) -> None:
    cache = cache_of(2, clock)
    cache.put("a", 1, seconds=10)
    cache.put("b", 2, seconds=10)
    cache.get("a")
    cache.put("c", 3, seconds=10)
    assert [cache.get(key) for key in "abc"] == [1, None, 3]
    assert len(cache) == 2


def test_a_second_put_replaces_value_and_lifetime(clock: ManualClock) -> None:
    cache = cache_of(2, clock)
    cache.put("a", 1, seconds=10)
    clock.advance(8)
    cache.put("a", 2, seconds=5)
    clock.advance(4)
    assert cache.get("a") == 2
    clock.advance(1)
    assert cache.get("a") is None


def test_a_read_does_not_lengthen_a_life(clock: ManualClock) -> None:
    cache = cache_of(2, clock)
    cache.put("a", 1, seconds=2)
    clock.advance(1)
    cache.get("a")
    clock.advance(1)
    assert cache.get("a") is None


def test_discard_forgets_one_and_does_not_mind_a_missing_one(clock: ManualClock) -> None:
    cache = cache_of(2, clock)
    cache.put("a", 1, seconds=2)
    cache.discard("a")
    cache.discard("a")
    assert cache.get("a") is None


def test_answers_are_counted(clock: ManualClock) -> None:
    cache = cache_of(2, clock)
    cache.put("a", 1, seconds=1)
    cache.get("a")
    cache.get("b")
    clock.advance(1)
    cache.get("a")
    assert (cache.hits, cache.misses) == (1, 2)
