"""What a watch tells, and when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from workspace_authz.devplane.embedded.kinds import SECRETS
from workspace_authz.devplane.embedded.objects import Object
from workspace_authz.devplane.embedded.selectors import selection
from workspace_authz.devplane.embedded.store import Store
from workspace_authz.devplane.embedded.watches import WatchEvent, WatchOptions, watch

RESOURCE = SECRETS.resource


def secret(name: str, *, namespace: str = "a", color: str = "red") -> Object:
    return {"metadata": {"name": name, "namespace": namespace, "labels": {"color": color}}}


def follow(
    store: Store, *, namespace: str = "", labels: str = "", bookmark_seconds: float = 60, **options: Any
) -> AsyncIterator[WatchEvent]:
    chosen = selection(labels=labels, fields="")
    return watch(
        store, WatchOptions(SECRETS, namespace, chosen, **options), bookmark_seconds=bookmark_seconds
    )


async def told(events: AsyncIterator[WatchEvent], count: int) -> list[tuple[str, str]]:
    """Type and name of the next events."""
    seen = []
    async with asyncio.timeout(10):
        for _ in range(count):
            event = await anext(events)
            seen.append((str(event.type), event.object.get("metadata", {}).get("name", "")))
    return seen


async def test_without_a_version_it_begins_with_what_is_there(store: Store) -> None:
    store.put(RESOURCE, secret("x"))
    events = follow(store)
    assert await told(events, 1) == [("ADDED", "x")]
    store.put(RESOURCE, secret("x", color="blue"))
    store.put(RESOURCE, secret("y"))
    store.remove(RESOURCE, "a", name="x")
    assert await told(events, 3) == [("MODIFIED", "x"), ("ADDED", "y"), ("DELETED", "x")]


async def test_from_a_version_it_tells_what_came_after(store: Store) -> None:
    store.put(RESOURCE, secret("x"))
    version = store.version
    store.put(RESOURCE, secret("y"))
    assert await told(follow(store, version=version), 1) == [("ADDED", "y")]


async def test_it_sees_one_namespace_if_it_asked_for_one(store: Store) -> None:
    store.put("others", secret("first"))
    events = follow(store, namespace="b", version=store.version)
    store.put(RESOURCE, secret("x", namespace="a"))
    store.put(RESOURCE, secret("y", namespace="b"))
    assert await told(events, 1) == [("ADDED", "y")]


async def test_objects_come_into_and_go_out_of_a_selection(store: Store) -> None:
    store.put("others", secret("first"))
    events = follow(store, labels="color=red", version=store.version)
    for color in ("blue", "red", "red", "blue", "blue"):
        store.put(RESOURCE, secret("x", color=color))
    store.remove(RESOURCE, "a", name="x")
    store.put(RESOURCE, secret("end"))
    assert await told(events, 4) == [("ADDED", "x"), ("MODIFIED", "x"), ("DELETED", "x"), ("ADDED", "end")]


async def test_an_object_that_leaves_a_selection_is_told_as_it_was(store: Store) -> None:
    store.put(RESOURCE, secret("x", color="red"))
    events = follow(store, labels="color=red", version=store.version)
    store.put(RESOURCE, secret("x", color="blue"))
    gone = (await anext(events)).object
    assert gone["metadata"]["labels"] == {"color": "red"}
    assert gone["metadata"]["resourceVersion"] == "2"


async def test_a_version_that_is_too_old_is_an_error_event_and_the_end() -> None:
    store = Store(history=1)
    for name in ("x", "y", "z"):
        store.put(RESOURCE, secret(name))
    events = [event async for event in follow(store, version=1)]
    assert [(event.type, event.object["code"], event.object["reason"]) for event in events] == [
        ("ERROR", 410, "Expired")
    ]


async def test_a_watcher_that_falls_behind_is_told_so() -> None:
    store = Store(history=2)
    events = follow(store)
    store.put(RESOURCE, secret("x0"))
    assert await told(events, 1) == [("ADDED", "x0")]
    for number in range(1, 5):
        store.put(RESOURCE, secret(f"x{number}"))
    assert (await anext(events)).type == "ERROR"


async def test_bookmarks_carry_the_version_also_when_others_changed(store: Store) -> None:
    store.put(RESOURCE, secret("x"))
    events = follow(store, version=1, bookmarks=True, bookmark_seconds=0.01)
    store.put("others", secret("y"))
    async with asyncio.timeout(10):
        bookmark = await anext(events)
    assert bookmark.type == "BOOKMARK"
    assert bookmark.object["metadata"]["resourceVersion"] == "2"
    assert bookmark.object["kind"] == "Secret"


async def test_there_are_no_bookmarks_unless_asked_for(store: Store) -> None:
    events = follow(store, version=0, bookmark_seconds=0.01, timeout_seconds=0.05)
    assert [event async for event in events] == []


async def test_it_ends_in_time_with_a_last_bookmark(store: Store) -> None:
    events = [event async for event in follow(store, bookmarks=True, timeout_seconds=0.05)]
    assert [event.type for event in events] == ["BOOKMARK"]


async def test_it_ends_when_the_store_closes(store: Store) -> None:
    async def collect() -> list[WatchEvent]:
        return [event async for event in follow(store)]

    collecting = asyncio.create_task(collect())
    await asyncio.sleep(0)
    store.close()
    async with asyncio.timeout(10):
        assert await collecting == []
