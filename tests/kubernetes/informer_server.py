"""Plays the namespaces of an API server over real HTTP, so that every fault happens on the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from aiohttp import web

from workspace_authz.kubernetes.configuration import ApiConfiguration
from workspace_authz.kubernetes.connection import Connection, server_connection
from workspace_authz.kubernetes.own_credential import FileCredential

Fault: TypeAlias = Callable[[web.Request], web.Response | None]

PATH = "/api/v1/namespaces"
TOKEN = "the-servers-own-token"


class Watch:
    """One open watch, in the test's hands."""

    def __init__(self, query: Mapping[str, str]) -> None:
        self.query = query
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()

    def send(self, kind: str, item: Mapping[str, Any]) -> None:
        """One event."""
        self.raw(json.dumps({"type": kind, "object": item}).encode() + b"\n")

    def raw(self, line: bytes) -> None:
        """Any bytes."""
        self._lines.put_nowait(line)

    def close(self) -> None:
        """End the watch as its timeout does."""
        self._lines.put_nowait(None)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while (line := await self._lines.get()) is not None:
            await response.write(line)
        return response


class ApiServer:
    """Namespaces by name, served by list, get and watch; ``fault`` answers instead when it is set."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.version = 100
        self.lists: list[dict[str, str]] = []
        self.gets: list[str] = []
        self.watches: asyncio.Queue[Watch] = asyncio.Queue()
        self.authorizations: set[str | None] = set()
        self.fault: Fault = lambda request: None
        self.pause: asyncio.Event | None = None
        """While set and clear, a question about one namespace waits after it has been read."""
        self.port = 0
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen, on the same port as before."""
        app = web.Application()
        app.router.add_get(PATH, self._collection)
        app.router.add_get(PATH + "/{name}", self._object)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Break every connection and refuse new ones."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def connection(self) -> Connection:
        """A connection as the server itself."""
        host = f"http://127.0.0.1:{self.port}"
        return server_connection(ApiConfiguration(host, credential=FileCredential(TOKEN)))

    def put(self, name: str, **fields: Any) -> dict[str, Any]:
        """Create or replace a namespace and return it, without any event."""
        self.version += 1
        metadata = {"name": name, "uid": f"uid-of-{name}", "resourceVersion": str(self.version)}
        metadata.update(fields)
        self.objects[name] = {"metadata": metadata}
        return self.objects[name]

    async def next_watch(self) -> Watch:
        """The next watch that is opened."""
        return await asyncio.wait_for(self.watches.get(), 60)

    async def _collection(self, request: web.Request) -> web.StreamResponse:
        self.authorizations.add(request.headers.get("Authorization"))
        query = dict(request.query)
        watching = query.pop("watch", "") == "true"
        name = query.get("fieldSelector", "").removeprefix("metadata.name=")
        if name:
            self.gets.append(name)
        elif not watching:
            self.lists.append(query)
        fault = self.fault(request)
        if fault is not None:
            return fault
        if watching:
            watch = Watch(query)
            self.watches.put_nowait(watch)
            return await watch.serve(request)
        begin, limit = int(query.get("continue", "0")), int(query.get("limit", "1"))
        items = [item for item in self.objects.values() if _selected(item, query.get("labelSelector", ""))]
        if name:
            items = [item for item in items if item["metadata"]["name"] == name]
            await self._paused()
        more = len(items) > begin + limit
        metadata = {"resourceVersion": str(self.version), "continue": str(begin + limit) if more else ""}
        return web.json_response({"metadata": metadata, "items": items[begin : begin + limit]})

    async def _paused(self) -> None:
        if self.pause is not None:
            await self.pause.wait()

    async def _object(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.gets.append(name)
        fault = self.fault(request)
        if fault is not None:
            return fault
        item = self.objects.get(name)
        await self._paused()
        return web.json_response(item or {"code": 404}, status=200 if item else 404)


def names_one(request: web.Request) -> bool:
    """Whether a request is about a single namespace."""
    return "name" in request.match_info or "fieldSelector" in request.query


def _selected(item: Mapping[str, Any], selector: str) -> bool:
    """Only ``key=value`` is played."""
    key, _, value = selector.partition("=")
    return not selector or (item["metadata"].get("labels") or {}).get(key) == value


class FastClock:
    """Sleeps in an instant and remembers for how long it should have."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds
        await asyncio.sleep(0.005)


async def until(condition: Callable[[], object]) -> None:
    """Wait until ``condition`` holds. Raises ``TimeoutError`` when it does not within a minute."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - threads and informers tell nobody but their owner
            await asyncio.sleep(0.005)
