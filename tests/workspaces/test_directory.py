"""The directory of workspaces: what the watch tells it, and what it looks up by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest
from aiohttp import web

from tests.kubernetes.informer_server import ApiServer, FastClock, Watch, names_one, until
from workspace_authz.errors import MisconfiguredError, UnavailableError
from workspace_authz.workspaces.directory import Directory
from workspace_authz.workspaces.namespace import DESCRIPTION_ANNOTATION, NamespaceInfo
from workspace_authz.workspaces.policy import NamespacePolicy

POLICY = NamespacePolicy(label_selector="mlflow=yes", exclude_globs=("tmp-*",))
CHOSEN = {"mlflow": "yes"}
DELETING = "2026-01-01T00:00:00Z"


@dataclass(slots=True)
class Running:
    directory: Directory
    clock: FastClock
    watch: Watch


@asynccontextmanager
async def following(server: ApiServer, policy: NamespacePolicy = POLICY) -> AsyncIterator[Running]:
    """A directory whose first list is complete and whose watch is open."""
    clock, connection = FastClock(), server.connection()
    directory = Directory(connection, policy, clock=clock)
    task = asyncio.create_task(directory.run())
    try:
        yield Running(directory, clock, await server.next_watch())
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await connection.close()


def denying(request: web.Request) -> web.Response | None:
    return web.json_response({}, status=403) if names_one(request) else None


async def test_serves_what_the_policy_admits(server: ApiServer) -> None:
    server.put("team-a", labels=CHOSEN, annotations={DESCRIPTION_ANNOTATION: "Models of team A"})
    server.put("team-b", labels=CHOSEN)
    server.put("unlabelled")
    server.put("tmp-1", labels=CHOSEN)
    server.put("kube-system", labels=CHOSEN)
    server.put("leaving", labels=CHOSEN, deletionTimestamp=DELETING)
    async with following(server) as running:
        assert running.directory.synced
        assert running.directory.names() == ("team-a", "team-b")
        assert running.directory.get("team-a") == NamespaceInfo(
            name="team-a", uid="uid-of-team-a", description="Models of team A"
        )
        assert running.directory.get("team-b") == NamespaceInfo(name="team-b", uid="uid-of-team-b")
        for name in ("unlabelled", "tmp-1", "kube-system", "leaving", "nowhere"):
            assert running.directory.get(name) is None
        assert server.lists == [{"limit": "250", "labelSelector": "mlflow=yes"}]


async def test_follows_the_watch(server: ApiServer) -> None:
    server.put("team-a", labels=CHOSEN)
    async with following(server) as running:
        running.watch.send("ADDED", server.put("team-b", labels=CHOSEN))
        await until(lambda: running.directory.names() == ("team-a", "team-b"))
        # With a selector, an API server reports an object that stopped matching as deleted.
        running.watch.send("DELETED", server.put("team-a", labels={}))
        await until(lambda: running.directory.names() == ("team-b",))
        running.watch.send("MODIFIED", server.put("team-b", labels=CHOSEN, deletionTimestamp=DELETING))
        await until(lambda: running.directory.names() == ())


async def test_a_phase_alone_means_terminating(server: ApiServer) -> None:
    server.put("team-a", labels=CHOSEN)["status"] = {"phase": "Terminating"}
    async with following(server) as running:
        assert running.directory.names() == ()


async def test_what_is_known_is_not_looked_up(server: ApiServer) -> None:
    server.put("team-a", labels=CHOSEN)
    async with following(server) as running:
        assert await running.directory.lookup("team-a") is not None
        assert server.gets == []


async def test_a_namespace_made_a_moment_ago_is_looked_up_and_then_served(server: ApiServer) -> None:
    async with following(server) as running:
        item = server.put("team-a", labels=CHOSEN)
        found = await running.directory.lookup("team-a")
        assert found is not None
        assert running.directory.get("team-a") == found
        assert running.directory.names() == ("team-a",)
        assert await running.directory.lookup("team-a") == found
        assert server.gets == ["team-a"]
        # From here on the watch's word counts.
        running.watch.send("ADDED", item)
        running.watch.send("DELETED", item)
        await until(lambda: running.directory.names() == ())


async def test_a_looked_up_namespace_is_not_believed_for_ever(server: ApiServer) -> None:
    async with following(server) as running:
        server.put("team-a", labels=CHOSEN)
        await running.directory.lookup("team-a")
        running.clock.now += 45
        assert running.directory.get("team-a") is not None
        assert await running.directory.lookup("team-a") is not None
        assert server.gets == ["team-a", "team-a"]
        running.clock.now += 61
        assert running.directory.get("team-a") is None
        assert running.directory.names() == ()


@pytest.mark.parametrize("name", ["kube-system", "tmp-1", "..", "../secrets", "a/b", "Team", "x" * 64])
async def test_hidden_and_impossible_names_are_not_looked_up(server: ApiServer, name: str) -> None:
    async with following(server) as running:
        assert await running.directory.lookup(name) is None
        assert server.gets == []


async def test_missing_unlabelled_and_terminating_are_missing(server: ApiServer) -> None:
    async with following(server) as running:
        server.put("unlabelled")
        server.put("leaving", labels=CHOSEN, deletionTimestamp=DELETING)
        for name in ("nowhere", "unlabelled", "leaving"):
            assert await running.directory.lookup(name) is None
            assert running.directory.get(name) is None


async def test_a_miss_is_believed_for_a_moment(server: ApiServer) -> None:
    async with following(server) as running:
        for _ in range(3):
            assert await running.directory.lookup("team-a") is None
        assert server.gets == ["team-a"]
        server.put("team-a", labels=CHOSEN)
        running.clock.now += 2.1
        assert await running.directory.lookup("team-a") is not None


async def test_the_watch_ends_a_miss_at_once(server: ApiServer) -> None:
    async with following(server) as running:
        assert await running.directory.lookup("team-a") is None
        running.watch.send("ADDED", server.put("team-a", labels=CHOSEN))
        await until(lambda: running.directory.get("team-a"))
        assert await running.directory.lookup("team-a") is not None


async def test_a_deletion_of_the_last_incarnation_does_not_end_the_new_one(server: ApiServer) -> None:
    old = server.put("team-a", labels=CHOSEN, uid="old", deletionTimestamp=DELETING)
    async with following(server) as running:
        server.put("team-a", labels=CHOSEN, uid="new")
        server.put("team-b", labels=CHOSEN)
        assert await running.directory.lookup("team-a") is not None
        running.watch.send("DELETED", old)
        running.watch.send("ADDED", server.objects["team-b"])
        await until(lambda: running.directory.get("team-b"))
        found = running.directory.get("team-a")
        assert found is not None
        assert found.uid == "new"


async def test_the_same_question_is_asked_once(server: ApiServer) -> None:
    async with following(server) as running:
        server.put("team-a", labels=CHOSEN)
        server.pause = asyncio.Event()
        asking = [asyncio.create_task(running.directory.lookup("team-a")) for _ in range(20)]
        await until(lambda: server.gets)
        asking[0].cancel()
        server.pause.set()
        found = await asyncio.gather(*asking[1:])
        assert {info.name for info in found if info is not None} == {"team-a"}
        assert server.gets == ["team-a"]


async def test_no_more_than_eight_look_ups_at_a_time(server: ApiServer) -> None:
    async with following(server) as running:
        server.pause = asyncio.Event()
        asking = [asyncio.create_task(running.directory.lookup(f"team-{number}")) for number in range(20)]
        await until(lambda: len(server.gets) == 8)
        await asyncio.sleep(0.05)
        assert len(server.gets) == 8
        server.pause.set()
        assert await asyncio.gather(*asking) == [None] * 20
        assert len(server.gets) == 20


async def test_a_look_up_that_the_watch_overtakes_is_done_again(server: ApiServer) -> None:
    async with following(server) as running:
        item = server.put("team-a", labels=CHOSEN)
        server.pause = asyncio.Event()
        asking = asyncio.create_task(running.directory.lookup("team-a"))
        await until(lambda: server.gets)
        del server.objects["team-a"]
        running.watch.send("ADDED", item)
        running.watch.send("DELETED", item)
        running.watch.send("ADDED", server.put("team-b", labels=CHOSEN))
        await until(lambda: running.directory.get("team-b"))
        server.pause.set()
        assert await asking is None
        assert running.directory.get("team-a") is None
        assert server.gets == ["team-a", "team-a"]


async def test_an_api_server_that_fails_is_an_error_and_no_answer(server: ApiServer) -> None:
    async with following(server) as running:
        server.fault = lambda request: web.json_response({}, status=500)
        with pytest.raises(UnavailableError, match="could not be looked up"):
            await running.directory.lookup("team-a")
        server.fault = denying
        with pytest.raises(MisconfiguredError, match="may not read namespaces"):
            await running.directory.lookup("team-a")
        server.fault = lambda request: None
        server.put("team-a", labels=CHOSEN)
        assert await running.directory.lookup("team-a") is not None


async def test_in_an_outage_the_known_are_served_and_the_unknown_are_unavailable(server: ApiServer) -> None:
    server.put("team-a", labels=CHOSEN)
    async with following(server) as running:
        await server.stop()
        await until(lambda: running.directory.state.problem)
        assert running.directory.names() == ("team-a",)
        assert await running.directory.lookup("team-a") is not None
        with pytest.raises(UnavailableError):
            await running.directory.lookup("team-b")


def watch_fails(request: web.Request) -> web.Response | None:
    return web.json_response({}, status=500) if not names_one(request) else None


async def test_while_the_watch_is_down_what_is_known_is_looked_at_again(server: ApiServer) -> None:
    """Given a watch that broke, when a namespace is made again, then the next look finds the new one."""
    server.put("team-a", labels=CHOSEN, uid="old")
    server.put("team-b", labels=CHOSEN)
    async with following(server) as running:
        server.fault = watch_fails
        running.watch.close()
        await until(lambda: running.directory.state.problem)
        server.put("team-a", labels=CHOSEN, uid="new")
        del server.objects["team-b"]
        found = await running.directory.lookup("team-a")
        assert found is not None
        assert found.uid == "new"
        assert await running.directory.lookup("team-b") is None
        server.fault = lambda request: denying(request) or watch_fails(request)
        running.clock.now += 2.1
        with pytest.raises(MisconfiguredError):
            await running.directory.lookup("team-a")


async def test_the_uid_of_any_namespace_is_asked_for(server: ApiServer) -> None:
    server.put("unlabelled")
    server.put("leaving", deletionTimestamp=DELETING)
    async with following(server) as running:
        for name in ("unlabelled", "leaving"):
            assert await running.directory.uid(name) == f"uid-of-{name}"
        for name in ("nowhere", "../secrets", "Team"):
            assert await running.directory.uid(name) is None
        assert server.gets == ["unlabelled", "leaving", "nowhere"]
        server.fault = denying
        with pytest.raises(MisconfiguredError):
            await running.directory.uid("unlabelled")
        await server.stop()
        with pytest.raises(UnavailableError):
            await running.directory.uid("unlabelled")


async def test_looks_up_before_the_first_list(server: ApiServer) -> None:
    connection = server.connection()
    directory = Directory(connection, POLICY, clock=FastClock())
    server.put("team-a", labels=CHOSEN)
    assert not directory.synced
    assert await directory.lookup("team-a") is not None
    await connection.close()
