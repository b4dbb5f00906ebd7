"""A man in the middle of the way to the API server, who can make it misbehave.

It serves under the dev plane's own certificate, so that only a kubeconfig's URL differs.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web

from tests.harness.plane import Plane

_HOP_BY_HOP = frozenset({"connection", "transfer-encoding", "content-length", "host", "keep-alive"})
_LONG_SECONDS = 3600.0
_SLOW_SECONDS = 1.0
_START_SECONDS = 120.0
_PAGE = '<html><body>secret of the API server {"status": {"allowed": true}}</body></html>'


class Fault(StrEnum):
    """What the API server does."""

    NONE = "works"
    REFUSES = "refuses connections"
    HANGS = "hangs"
    BREAKS = "closes connections in the middle of an answer"
    THROTTLES = "429"
    FAILS = "500"
    BABBLES = "answers 201 and nonsense"
    PORTAL = "answers 200 and a page, as a proxy does that wants a login"
    GATEWAY = "answers 502 and a page, as a proxy does before nobody"
    REDIRECTS = "redirects to itself"
    LIES = "answers 201 and an allowing review of another kind"
    MUTES = "leaves watches open and sends nothing more on them"
    DAWDLES = "takes a second for each answer"


@dataclass
class FaultyApi:
    """The proxy. ``fault`` may change at any moment."""

    upstream: str
    trusted: ssl.SSLContext
    certificate: ssl.SSLContext
    url: str = ""
    asked: int = 0
    """Requests that came while :attr:`fault` was one."""
    expired: int = 0
    """Answers and events that said that a version is too old (410)."""
    muted: set[str] = field(default_factory=set)
    """The paths of watches that had something to say since they were last muted."""
    _fault: Fault = Fault.NONE
    _open: set[asyncio.Transport] = field(default_factory=set, repr=False)
    """Connections on which an answer is on its way."""
    _loop: asyncio.AbstractEventLoop = field(init=False, repr=False)
    _session: aiohttp.ClientSession = field(init=False, repr=False)
    _server: web.Server = field(init=False, repr=False)
    _stop: asyncio.Event = field(init=False, repr=False)

    async def serve(self, ready: threading.Event) -> None:
        """Serve until :meth:`stop`."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        connector = aiohttp.TCPConnector(ssl=self.trusted, limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as self._session:
            self._server = web.Server(self._handle)
            runner = web.ServerRunner(self._server, shutdown_timeout=1.0)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self.certificate)
            await site.start()
            self.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
            ready.set()
            await self._stop.wait()
            await runner.cleanup()

    @property
    def fault(self) -> Fault:
        """What is wrong at the moment. Whatever it is, it also ends the answers that are on their way,
        except that a server that hangs just falls silent, as watches do that are muted."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        if fault is Fault.MUTES:
            self.muted.clear()
        self._fault = fault
        if fault not in (Fault.NONE, Fault.HANGS, Fault.MUTES):
            self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for transport in list(self._open):
            transport.abort()

    def restart(self, certificate: Path, key: Path) -> None:
        """Close every connection; from now on serve under another certificate."""
        self.certificate.load_cert_chain(certificate, key)
        self._loop.call_soon_threadsafe(self._hang_up)

    def _hang_up(self) -> None:
        for connection in self._server.connections:
            if connection.transport is not None:
                connection.transport.abort()

    def stop(self) -> None:
        """End the proxy."""
        self._loop.call_soon_threadsafe(self._stop.set)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.fault is not Fault.NONE:
            self.asked += 1
        match self.fault:
            case Fault.NONE | Fault.MUTES:
                return await self._forward(request)
            case Fault.DAWDLES:
                await asyncio.sleep(_SLOW_SECONDS)
                return await self._forward(request)
            case Fault.REFUSES:
                # Like a listener that is gone: the connection ends before a byte of an answer.
                _abort(request)
                return web.Response()
            case Fault.HANGS:
                await asyncio.sleep(_LONG_SECONDS)
                return web.Response()
            case Fault.BREAKS:
                response = web.StreamResponse(status=201, headers={"Content-Length": "1000"})
                await response.prepare(request)
                await response.write(b'{"kind":')
                _abort(request)
                return response
            case Fault.THROTTLES:
                return web.Response(
                    status=429, headers={"Retry-After": "60"}, text="secret of the API server"
                )
            case Fault.FAILS:
                return web.Response(status=500, text="secret of the API server")
            case Fault.PORTAL | Fault.GATEWAY:
                code = 200 if self.fault is Fault.PORTAL else 502
                return web.Response(status=code, content_type="text/html", text=_PAGE)
            case Fault.REDIRECTS:
                return web.Response(status=307, headers={"Location": str(request.url)})
            case Fault.BABBLES:
                return web.Response(status=201, content_type="application/json", text='{"status": {"allowed"')
            case Fault.LIES:
                status = {"allowed": True, "userInfo": {"username": "root"}, "resourceRules": []}
                return web.json_response({"kind": "Other", "status": status}, status=201)

    async def _forward(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        async with self._session.request(
            request.method,
            self.upstream + request.raw_path,
            headers=headers,
            data=await request.read(),
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None),
        ) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            transport, watching = request.transport, "watch" in request.query
            assert transport is not None
            upstream = answer.connection.transport if answer.connection is not None else None
            complete = False
            self._open.add(transport)
            try:
                async for chunk in answer.content.iter_any():
                    if self.fault is Fault.HANGS or (self.fault is Fault.MUTES and watching):
                        self.muted.add(request.path)
                        await asyncio.sleep(_LONG_SECONDS)
                    self.expired += answer.status == 410 or b'"code":410' in chunk
                    await response.write(chunk)
                complete = True
            except aiohttp.ClientPayloadError:
                if self.fault is not Fault.MUTES or not watching:
                    raise
                await asyncio.sleep(_LONG_SECONDS)  # the other end is gone, and nobody tells
            finally:
                self._open.discard(transport)
                if upstream is not None and not complete:
                    # Closing waits for a farewell (TLS) of a server that may have been killed.
                    upstream.abort()
            return response


def _abort(request: web.BaseRequest) -> None:
    if request.transport is not None:
        request.transport.abort()


@contextmanager
def faulty_api(plane: Plane) -> Iterator[FaultyApi]:
    """A proxy in front of a dev plane for as long as the block lasts."""
    pki = plane.state / "pki"
    certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.load_cert_chain(pki / "serving.crt", pki / "serving.key")
    proxy = FaultyApi(plane.url, ssl.create_default_context(cafile=str(pki / "ca.crt")), certificate)
    ready = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(proxy.serve(ready)), daemon=True)
    thread.start()
    assert ready.wait(_START_SECONDS)
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join(10)


def pointed_at(url: str, kubeconfig: Path, into: Path) -> Path:
    """A copy of a kubeconfig with another server's URL."""
    config = yaml.safe_load(kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = url
    into.write_text(yaml.safe_dump(config))
    return into
