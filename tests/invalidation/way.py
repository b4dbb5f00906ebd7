"""One worker's way to the API server: a proxy that delays, cuts and silences watches, and reviews, too."""

from __future__ import annotations

import asyncio
import json
import math
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web

_HOP_BY_HOP: Final = frozenset({"connection", "transfer-encoding", "content-length", "host", "keep-alive"})
_BY_TOKEN: Final = "selfsubjectaccessreviews"
_BY_NAME: Final = "subjectaccessreviews"
LAG_SECONDS: Final = 0.2
"""How far an API server is behind at most. Less than the settling time, or nothing could be promised."""


@dataclass(slots=True)
class DelayedAnswer:
    """An answer that has been given and is still on its way."""

    given: asyncio.Event = field(default_factory=asyncio.Event)
    delivered: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Way:
    """The proxy. Its state may change at any moment; :meth:`heal` makes an end of all trouble."""

    upstream: str
    session: aiohttp.ClientSession
    delay: float = 0.0
    """Seconds by which each event of a watch comes later."""
    refusing: bool = False
    """Lists and watches are answered 500."""
    mute: bool = False
    """Watches stay open and nothing comes on them."""
    lagging: bool = False
    """Reviews reach an API server that hears of the next change later than the watches do: until
    ``LAG_SECONDS`` after the first event it says what it said before."""
    url: str = ""
    _delayed: dict[str, DelayedAnswer] = field(default_factory=dict, repr=False)
    _said: dict[tuple[str, bytes], tuple[int, bytes]] = field(default_factory=dict, repr=False)
    _changes: int = 0
    _heard: float = math.inf
    """When the first event came while lagging."""
    _watches: set[asyncio.Transport] = field(default_factory=set, repr=False)

    def cut(self) -> None:
        """End every watch that is open."""
        for transport in self._watches:
            transport.abort()

    def forget(self) -> None:
        """Something changes: what was said before is not repeated, also not what is on its way."""
        self._said.clear()
        self._changes += 1

    @contextmanager
    def lag(self) -> Iterator[None]:
        """Within the block be :attr:`lagging`."""
        self.lagging, self._heard = True, math.inf
        try:
            yield
        finally:
            self.lagging = False
            self.forget()

    def refuse(self) -> None:
        """No list and no watch from now on."""
        self.refusing = True
        self.cut()

    def heal(self) -> None:
        """All is well again, on new watches."""
        self.refusing = self.mute = self.lagging = False
        self.delay = 0.0
        self.cut()

    @contextmanager
    def hold(self, subject: str) -> Iterator[DelayedAnswer]:
        """Within the block the next answer to an access review waits to be delivered.

        ``subject`` is the token by which it is asked, or the name of the user about whom.
        """
        delayed = self._delayed[subject] = DelayedAnswer()
        try:
            yield delayed
        finally:
            delayed.delivered.set()
            self._delayed.pop(subject, None)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer as the API server, or not."""
        if request.query.get("watch"):
            return await self._watch(request)
        if request.method == "GET" and self.refusing and "limit" in request.query:
            return web.Response(status=500)
        body = await request.read()
        question = (request.headers.get("Authorization", ""), body)
        kind = request.path.rpartition("/")[2]
        review = kind in (_BY_TOKEN, _BY_NAME)
        behind = self.lagging and time.monotonic() < self._heard + LAG_SECONDS
        if review and behind and question in self._said:
            status, said = self._said[question]
        else:
            changes = self._changes
            async with self._ask(request, body) as answer:
                status, said = answer.status, await answer.read()
            if review and not self.lagging and changes == self._changes:
                self._said[question] = (status, said)
        if review and (delayed := self._delayed.pop(_subject(kind, *question), None)) is not None:
            delayed.given.set()
            await delayed.delivered.wait()
        return web.Response(status=status, body=said, content_type="application/json")

    def _ask(
        self, request: web.BaseRequest, body: bytes
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        return self.session.request(
            request.method,
            self.upstream + request.raw_path,
            headers=headers,
            data=body,
            timeout=aiohttp.ClientTimeout(total=None),
        )

    async def _watch(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.refusing:
            return web.Response(status=500)
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        async with self._ask(request, b"") as answer:
            response = web.StreamResponse(status=answer.status)
            await response.prepare(request)
            self._watches.add(transport)
            arriving: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
            reading = asyncio.create_task(self._read(answer, arriving))
            try:
                await self._deliver(arriving, response)
            finally:
                reading.cancel()
                self._watches.discard(transport)
            return response

    async def _read(self, answer: aiohttp.ClientResponse, into: asyncio.Queue[tuple[float, bytes]]) -> None:
        with suppress(aiohttp.ClientError):
            async for chunk in answer.content.iter_any():
                into.put_nowait((time.monotonic() + self.delay, chunk))
        into.put_nowait((0.0, b""))

    async def _deliver(
        self, arriving: asyncio.Queue[tuple[float, bytes]], response: web.StreamResponse
    ) -> None:
        while True:
            due, chunk = await arriving.get()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if self.mute:
                await asyncio.Event().wait()  # until the connection is cut
            if not chunk:
                return
            self._heard = min(self._heard, time.monotonic())
            await response.write(chunk)


def _subject(kind: str, authorization: str, body: bytes) -> str:
    """Whose rights an access review is about: the asker's, by their token, or somebody's by name."""
    if kind == _BY_TOKEN:
        return authorization.removeprefix("Bearer ")
    return str(json.loads(body)["spec"]["user"])


@asynccontextmanager
async def way_to(upstream: str, pki: Path) -> AsyncIterator[Way]:
    """A way to a dev plane, under its own certificate, for as long as the block lasts."""
    certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.load_cert_chain(pki / "serving.crt", pki / "serving.key")
    trusted = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusted, limit=0)) as session:
        way = Way(upstream, session)
        server = web.Server(way.handle, handler_cancellation=True, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificate).start()
        way.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield way
        finally:
            await runner.cleanup()
