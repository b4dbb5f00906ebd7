"""Objects, versions and the bounded history."""

from __future__ import annotations

import asyncio

import pytest

from workspace_authz.devplane.embedded.objects import Object, version_of
from workspace_authz.devplane.embedded.store import EventType, Store, TooOldError


def item(name: str, namespace: str = "a", **content: object) -> Object:
    return {"metadata": {"name": name, "namespace": namespace}, **content}


def test_versions_only_grow() -> None:
    store = Store(first_version=10)
    versions = [version_of(store.put("things", item("x", value=number))) for number in range(3)]
    versions.append(version_of(store.remove("things", "a", name="x")))
    versions.append(version_of(store.put("others", item("x"))))
    assert versions == [11, 12, 13, 14, 15]


def test_lists_are_ordered_and_scoped() -> None:
    store = Store()
    for name, namespace in (("b", "z"), ("a", "z"), ("c", "y")):
        store.put("things", item(name, namespace))
    assert [obj["metadata"]["name"] for obj in store.list("things")] == ["c", "a", "b"]
    assert [obj["metadata"]["name"] for obj in store.list("things", "z")] == ["a", "b"]
    assert store.list("things", "nowhere") == []
    assert store.get("things", "z", name="c") is None


def test_a_stored_object_never_changes() -> None:
    store = Store()
    first = store.put("things", item("x", value=1))
    store.put("things", item("x", value=2))
    assert first["value"] == 1


def test_events_say_what_happened_and_what_was_before() -> None:
    store = Store()
    store.put("things", item("x", value=1))
    store.put("things", item("x", value=2))
    store.put("others", item("x"))
    store.remove("things", "a", name="x")
    events = store.since("things", 1)
    assert [(event.type, event.version) for event in events] == [
        (EventType.MODIFIED, 2),
        (EventType.DELETED, 4),
    ]
    assert events[0].previous is not None
    assert events[0].previous["value"] == 1
    assert events[1].object["value"] == 2
    assert version_of(events[1].object) == 4


def test_what_fell_out_of_the_history_is_too_old() -> None:
    store = Store(history=2)
    for value in range(4):
        store.put("things", item("x", value=value))
    assert [event.version for event in store.since("things", 2)] == [3, 4]
    with pytest.raises(TooOldError, match=r"too old resource version: 1 \(2\)"):
        store.since("things", 1)
    assert store.since("others", 1) == []


def test_a_version_of_an_earlier_run_is_too_old() -> None:
    with pytest.raises(TooOldError):
        Store(first_version=1000).since("things", 999)


async def test_a_wait_ends_with_a_change() -> None:
    store = Store()
    waiting = asyncio.create_task(store.wait(0, seconds=30))
    await asyncio.sleep(0)
    store.put("things", item("x"))
    assert await waiting is True
    assert await store.wait(0, seconds=30) is True


async def test_a_wait_ends_in_time_or_when_the_store_closes() -> None:
    store = Store()
    assert await store.wait(0, seconds=0) is False
    waiting = asyncio.create_task(store.wait(0, seconds=30))
    await asyncio.sleep(0)
    store.close()
    assert await waiting is True
