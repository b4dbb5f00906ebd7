"""The informer when the API server forgets, refuses, babbles, falls silent or goes away."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import pytest
from aiohttp import web

from tests.kubernetes.informer_server import TOKEN, ApiServer, Fault, until
from tests.kubernetes.informing import informing
from workspace_authz.kubernetes.informer_state import Timing

GONE = {"kind": "Status", "code": 410, "reason": "Expired", "metadata": {}}


def refusing(status: int, *, watches: bool | None = None) -> Fault:
    """A fault: answer lists, watches or (None) both with ``status``."""

    def fault(request: web.Request) -> web.Response | None:
        watching = "watch" in request.query
        return web.json_response({}, status=status) if watches in (None, watching) else None

    return fault


async def test_an_optional_kind_that_is_not_served_has_no_objects_and_is_found_later(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.put("a", color="red")
    server.fault = refusing(404)
    caplog.set_level(logging.INFO)
    async with informing(server, optional=True) as running:
        await until(lambda: len(running.clock.sleeps) > 3)
        assert (running.informer.state.synced, running.informer.state.absent) == (True, True)
        assert running.informer.state.problem is None
        assert max(running.clock.sleeps) <= Timing().longest_delay
        server.fault = lambda request: None
        await server.next_watch()
        assert running.informer.objects == {("", "a"): "red"}
        assert not running.informer.state.absent
    assert caplog.text.count("serves no such kind") == 1


async def test_an_optional_kind_that_is_taken_away_takes_its_objects_along(server: ApiServer) -> None:
    server.put("a", color="red")
    async with informing(server, optional=True) as running:
        watch = await server.next_watch()
        del running.batches[:]
        server.fault = refusing(404)
        watch.close()
        await until(lambda: running.informer.state.absent)
        assert running.informer.objects == {}
        assert [(change.old, change.new) for change in running.batches[0]] == [("red", None)]


async def test_a_kind_that_must_be_served_is_a_problem_without(server: ApiServer) -> None:
    server.fault = refusing(404)
    async with informing(server) as running:
        await until(lambda: running.informer.state.problem)
        assert not running.informer.state.synced


async def test_who_lacks_the_right_to_one_name_is_told_the_name(server: ApiServer) -> None:
    server.fault = refusing(403)
    async with informing(server, optional=True, field_selector="metadata.name=a") as running:
        await until(lambda: running.informer.state.problem)
        assert "list and watch on it, for metadata.name=a only." in str(running.informer.state.problem)


async def test_a_version_that_is_gone_means_listing_again(server: ApiServer) -> None:
    server.put("a", color="red")
    server.put("b", color="blue")
    async with informing(server) as running:
        watch = await server.next_watch()
        del running.batches[:], server.objects["b"]
        server.put("a", color="green")
        server.put("c", color="white")
        watch.send("ERROR", GONE)
        again = await server.next_watch()
        assert again.query["resourceVersion"] == str(server.version)
        [batch] = running.batches
        assert {(change.key[1], change.old, change.new) for change in batch} == {
            ("a", "red", "green"),
            ("b", "blue", None),
            ("c", None, "white"),
        }
        assert running.informer.state.problem is None


@pytest.mark.parametrize("status", [410, 400])
async def test_a_version_refused_by_status_means_listing_again(server: ApiServer, status: int) -> None:
    async with informing(server) as running:
        watch = await server.next_watch()
        server.put("a")
        once = iter([refusing(status, watches=True)])
        server.fault = lambda request: next(once, lambda _: None)(request)
        watch.send("BOOKMARK", {"metadata": {"resourceVersion": "900"}})
        watch.close()
        assert (await server.next_watch()).query["resourceVersion"] == str(server.version)
        assert running.informer.objects.keys() == {("", "a")}


async def test_a_continue_token_that_is_gone_means_starting_over(server: ApiServer) -> None:
    for name in ("a", "b", "c"):
        server.put(name)
    gone = iter([True])

    def fault(request: web.Request) -> web.Response | None:
        if "continue" in request.query and next(gone, False):
            return web.json_response(GONE, status=410)
        return None

    server.fault = fault
    async with informing(server, page_size=2) as running:
        await server.next_watch()
        assert [query.get("continue") for query in server.lists] == [None, "2", None, "2"]
        assert len(running.informer.objects) == 3


@pytest.mark.parametrize(
    "line",
    [
        b"{\n",
        b"\xff\xfe\n",
        b"[]\n",
        b"\n",
        b'{"type": "ADDED"}\n',
        b'{"type": ["ADDED"], "object": {"metadata": {"name": "x", "resourceVersion": "7"}}}\n',
        b'{"type": "RENAMED", "object": {"metadata": {"name": "x", "resourceVersion": "7"}}}\n',
        b'{"type": "ADDED", "object": {"metadata": {"name": "x"}}}\n',
        b'{"type": "ADDED", "object": {"metadata": {"resourceVersion": "7"}}}\n',
        b'{"type": "ADDED", "object": {"metadata": null}}\n',
        b'{"type": "ADDED", "object": "' + b"x" * 2**23 + b'"}\n',
    ],
    ids=lambda line: line[:60].decode("latin-1").strip(),
)
async def test_garbage_reconnects_where_sense_ended(server: ApiServer, line: bytes) -> None:
    async with informing(server) as running:
        watch = await server.next_watch()
        watch.send("ADDED", server.put("a"))
        watch.raw(line)
        again = await server.next_watch()
        assert again.query["resourceVersion"] == str(server.version)
        again.send("ADDED", server.put("b"))
        await until(lambda: ("", "b") in running.informer.objects)
        assert running.informer.objects.keys() == {("", "a"), ("", "b")}
        assert len(running.clock.sleeps) == 1
        assert not running.task.done()


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"items": [], "metadata": {}}', '{"items": [7]}'])
async def test_a_list_of_garbage_is_asked_for_again(server: ApiServer, body: str) -> None:
    server.put("a")
    server.fault = lambda request: web.Response(text=body)
    async with informing(server) as running:
        await until(lambda: running.informer.state.problem)
        assert not running.informer.state.synced
        server.fault = lambda request: None
        await server.next_watch()
        assert running.informer.state.problem is None


async def test_a_silent_watch_is_opened_again_where_it_was(server: ApiServer) -> None:
    async with informing(server, timing=Timing(silence=0.3)) as running:
        watch = await server.next_watch()
        watch.send("ADDED", server.put("a"))
        again = await server.next_watch()
        assert again.query["resourceVersion"] == str(server.version)
        assert len(server.lists) == 1
        await until(lambda: running.informer.state.problem is None)
        assert not running.clock.sleeps


async def test_a_watch_that_is_silent_from_its_start_is_no_place_to_go_on_from(server: ApiServer) -> None:
    async with informing(server, timing=Timing(silence=0.3)) as running:
        await server.next_watch()
        server.put("a")
        again = await server.next_watch()
        assert again.query["resourceVersion"] == str(server.version)
        assert running.informer.objects.keys() == {("", "a")}
        assert not running.clock.sleeps
        assert running.informer.state.problem is None


async def test_bookmarks_keep_a_watch_open(server: ApiServer) -> None:
    async with informing(server, timing=Timing(silence=2.5)):
        watch = await server.next_watch()
        for version in range(6):
            await asyncio.sleep(0.5)
            watch.send("BOOKMARK", {"metadata": {"resourceVersion": str(1000 + version)}})
        assert server.watches.empty()


async def test_a_watch_that_does_not_open_is_a_problem(server: ApiServer) -> None:
    accepted: list[asyncio.StreamWriter] = []
    listener = await asyncio.start_server(lambda _, writer: accepted.append(writer), "127.0.0.1", 0)
    server.port, port = listener.sockets[0].getsockname()[1], server.port
    try:
        async with informing(server, timing=Timing(silence=0.2, list_page=0.2)) as running:
            await until(lambda: running.informer.state.problem)
            assert running.informer.state.problem == (
                "/api/v1/namespaces cannot be followed: the API server did not answer in time."
            )
    finally:
        server.port = port
        listener.close()
        for writer in accepted:
            writer.close()


async def test_outlives_an_outage_and_says_so(server: ApiServer, caplog: pytest.LogCaptureFixture) -> None:
    server.put("a")
    server.put("b")
    caplog.set_level(logging.WARNING)  # both sentences of the pair
    async with informing(server, timing=Timing(first_delay=0.5, longest_delay=10.0)) as running:
        await server.next_watch()
        contact = running.informer.state.last_contact
        await server.stop()
        await until(lambda: len(running.clock.sleeps) > 20)
        state = running.informer.state
        assert state.synced
        assert state.last_contact == contact
        assert state.problem == (
            "/api/v1/namespaces cannot be followed: "
            f"no connection: Connect call failed ('127.0.0.1', {server.port})."
        )
        assert not state.missing_right
        assert len(running.informer.objects) == 2
        del server.objects["b"]
        await server.start()
        await server.next_watch()
        await until(lambda: running.informer.objects.keys() == {("", "a")})
        assert running.informer.state.problem is None
        assert sum("cannot be followed" in line for line in caplog.messages) <= 3
        assert "/api/v1/namespaces is followed again" in caplog.messages


async def test_waits_longer_and_longer_up_to_a_bound(server: ApiServer) -> None:
    server.fault = refusing(500)
    timing = Timing(first_delay=0.5, longest_delay=10.0)
    async with informing(server, timing=timing) as running:
        await until(lambda: len(running.clock.sleeps) >= 7)
        assert running.clock.sleeps[:7] == [0.5, 1, 2, 4, 8, 10, 10]
    async with informing(server, timing=timing, chance=lambda: 0.0) as running:
        await until(lambda: len(running.clock.sleeps) >= 6)
        assert running.clock.sleeps[:6] == [0.25, 0.5, 1, 2, 4, 5]


async def test_after_an_event_the_waiting_starts_small_again(server: ApiServer) -> None:
    async with informing(server) as running:
        for _ in range(3):
            watch = await server.next_watch()
            watch.send("ADDED", server.put("a"))
            watch.raw(b"{\n")
        await server.next_watch()
        assert running.clock.sleeps == [0.5, 0.5, 0.5]
        assert len(server.lists) == 1


async def test_a_watch_closed_at_once_does_not_spin(server: ApiServer) -> None:
    async with informing(server) as running:
        for _ in range(4):
            (await server.next_watch()).close()
        await until(lambda: len(running.clock.sleeps) == 4)
        assert running.clock.sleeps == [0.5, 1, 2, 4]


async def test_a_watch_that_keeps_failing_gives_up_its_version(server: ApiServer) -> None:
    server.fault = refusing(503, watches=True)
    async with informing(server):
        await until(lambda: len(server.lists) == 2)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_missing_right_is_told_apart(server: ApiServer, status: int) -> None:
    server.fault = refusing(status)
    async with informing(server) as running:
        await until(lambda: running.informer.state.problem)
        assert running.informer.state.missing_right
        assert running.informer.state.problem == (
            f"/api/v1/namespaces cannot be followed: the API server answered {status}. "
            "The server's own account needs the rights list and watch on it."
        )
        server.fault = lambda request: None
        await server.next_watch()
        await until(lambda: running.informer.state.problem is None)
        assert not running.informer.state.missing_right


async def test_what_is_known_is_served_while_a_right_is_missing(server: ApiServer) -> None:
    server.put("a")
    async with informing(server) as running:
        watch = await server.next_watch()
        server.fault = refusing(403)
        watch.send("ERROR", GONE)
        await until(lambda: running.informer.state.missing_right)
        assert running.informer.state.synced
        assert ("", "a") in running.informer.objects


async def test_no_token_in_problems_or_logs(server: ApiServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.fault = lambda request: web.Response(text=request.headers["Authorization"], status=500)
    async with informing(server) as running:
        await until(lambda: len(running.clock.sleeps) > 2)
        await server.stop()
        await until(lambda: "no connection" in (running.informer.state.problem or ""))
        assert TOKEN not in str(running.informer.state)
    assert TOKEN not in caplog.text
    assert server.authorizations == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize("moment", ["listing", "watching", "waiting"])
async def test_cancelling_ends_it(server: ApiServer, moment: str) -> None:
    if moment == "waiting":
        server.fault = refusing(500)
    async with informing(server) as running:
        if moment == "watching":
            await server.next_watch()
        elif moment == "waiting":
            await until(lambda: running.clock.sleeps)
        running.task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait_for(running.task, 60)
        assert running.task.cancelled()


async def test_what_keep_makes_none_of_is_not_there(server: ApiServer) -> None:
    server.put("a", color="drop")
    server.put("b", color="blue")
    async with informing(server) as running:
        watch = await server.next_watch()
        watch.send("MODIFIED", server.put("a", color="green"))
        await until(lambda: len(running.batches) == 2)
        watch.send("MODIFIED", server.put("a", color="drop"))
        await until(lambda: len(running.batches) == 3)
        assert [(change.old, change.new) for [change] in running.batches] == [
            (None, "blue"),
            (None, "green"),
            ("green", None),
        ]
        assert running.informer.objects == {("", "b"): "blue"}


async def test_followed_since_is_the_begin_of_what_was_not_interrupted(server: ApiServer) -> None:
    """A watch that ends in order and is continued loses nothing; any other end may."""
    async with informing(server, timing=Timing(silence=2.0)) as running:
        watch = await server.next_watch()
        await until(lambda: running.followed == [1000.0])
        running.clock.now += 5
        watch.send("ADDED", server.put("a"))
        watch.close()
        watch = await server.next_watch()
        watch.raw(b"{\n")
        await until(lambda: len(running.followed) == 3)
        assert running.followed[1] is None
        assert running.followed[2] is not None
        assert running.followed[2] > 1005
        (await server.next_watch()).send("ERROR", GONE)
        await until(lambda: len(running.followed) == 5)
        silent = await server.next_watch()
        await until(lambda: len(running.followed) == 7)  # nothing came for too long
        assert running.followed[3] is running.followed[5] is None
        assert running.informer.state.followed_since == running.followed[6]
        silent.close()


async def test_without_the_right_nothing_is_followed(server: ApiServer) -> None:
    server.fault = refusing(403)
    async with informing(server) as running:
        await until(lambda: running.informer.state.missing_right)
        assert running.informer.state.followed_since is None
        assert running.followed == []
