"""The informer on a wire where everything goes as it should: lists, pages, events, bookmarks."""

from __future__ import annotations

from tests.kubernetes.informer_server import TOKEN, ApiServer, until
from tests.kubernetes.informing import Informing, informing


def names(running: Informing) -> list[str]:
    return sorted(name for _, name in running.informer.objects)


async def test_lists_in_pages_and_watches_from_there(server: ApiServer) -> None:
    for name in ("a", "b", "c"):
        server.put(name, labels={"team": "ml"})
    async with informing(server, page_size=2, label_selector="team=ml") as running:
        watch = await server.next_watch()
        assert names(running) == ["a", "b", "c"]
        assert running.informer.state.synced
        assert server.lists == [
            {"limit": "2", "labelSelector": "team=ml"},
            {"limit": "2", "labelSelector": "team=ml", "continue": "2"},
        ]
        assert watch.query["resourceVersion"] == str(server.version)
        assert watch.query["allowWatchBookmarks"] == "true"
        assert watch.query["labelSelector"] == "team=ml"
        assert 300 <= int(watch.query["timeoutSeconds"]) <= 450
    assert server.authorizations == {f"Bearer {TOKEN}"}


async def test_a_field_selector_is_sent_with_lists_and_watches(server: ApiServer) -> None:
    async with informing(server, field_selector="metadata.name=a"):
        watch = await server.next_watch()
        assert watch.query["fieldSelector"] == "metadata.name=a"
        assert server.gets == ["a", "a"]
        assert server.lists == []


async def test_the_whole_list_is_one_batch_of_changes(server: ApiServer) -> None:
    server.put("a")
    server.put("b")
    async with informing(server, page_size=1) as running:
        await server.next_watch()
        assert [[(change.key[1], change.old) for change in batch] for batch in running.batches] == [
            [("a", None), ("b", None)]
        ]


async def test_events_change_the_copy_and_are_told(server: ApiServer) -> None:
    server.put("a", color="red")
    async with informing(server) as running:
        watch = await server.next_watch()
        del running.batches[:]
        watch.send("ADDED", server.put("b", color="blue"))
        watch.send("MODIFIED", server.put("a", color="green"))
        watch.send("DELETED", server.put("b", color="blue"))
        await until(lambda: len(running.batches) == 3)
        assert [(change.key[1], change.old, change.new) for [change] in running.batches] == [
            ("b", None, "blue"),
            ("a", "red", "green"),
            ("b", "blue", None),
        ]
        assert running.informer.objects == {("", "a"): "green"}


async def test_a_change_of_what_is_not_kept_is_not_told(server: ApiServer) -> None:
    server.put("a", color="red")
    async with informing(server) as running:
        watch = await server.next_watch()
        del running.batches[:]
        watch.send("MODIFIED", server.put("a", color="red", annotations={"seen": "today"}))
        watch.send("ADDED", server.put("b", color="blue"))
        await until(lambda: running.batches)
        assert [change.key[1] for [change] in running.batches] == ["b"]


async def test_a_watch_that_ends_is_continued_after_the_last_event(server: ApiServer) -> None:
    async with informing(server) as running:
        watch = await server.next_watch()
        watch.send("ADDED", server.put("a"))
        watch.close()
        resumed = await server.next_watch()
        assert resumed.query["resourceVersion"] == str(server.version)
        resumed.send("BOOKMARK", {"kind": "Namespace", "metadata": {"resourceVersion": "900"}})
        resumed.close()
        assert (await server.next_watch()).query["resourceVersion"] == "900"
        assert names(running) == ["a"]
        assert len(server.lists) == 1
        assert not running.clock.sleeps


async def test_every_line_is_contact(server: ApiServer) -> None:
    async with informing(server) as running:
        watch = await server.next_watch()
        await until(lambda: running.informer.state.last_contact == running.clock.now)
        running.clock.now += 60
        watch.send("BOOKMARK", {"metadata": {"resourceVersion": "900"}})
        await until(lambda: running.informer.state.last_contact == running.clock.now)


async def test_waits_for_the_first_list(server: ApiServer) -> None:
    async with informing(server) as running:
        assert not running.informer.state.synced
        await running.informer.wait_synced()
        assert running.informer.state.synced
