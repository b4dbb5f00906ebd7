"""Callers' reviews over HTTP/1.1, with no general HTTP client between.

Two reviews are what a cold request costs, and most of their CPU was the client's: on 2 cores 25 µs were
measured for a question and its answer like this, 200 µs with aiohttp. Framing is read by ``httptools``
(llhttp), as by uvicorn. Through a proxy it is :class:`~workspace_authz.kubernetes.connection.Connection`.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpResponseParser

from workspace_authz.kubernetes.configuration import ApiConfiguration
from workspace_authz.kubernetes.connection import KEPT_ALIVE_SECONDS, caller_connection, detect_dead_peer
from workspace_authz.kubernetes.http import (
    MAX_ANSWER_BYTES,
    USER_AGENT,
    HttpAnswer,
    OversizedError,
    ReviewTransport,
)
from workspace_authz.kubernetes.tls import tls_of, trust_again


class Line(asyncio.Protocol):
    """One connection, for one question at a time. It is closed after anything that was not expected."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[HttpAnswer] | None = None
        self._parser: HttpResponseParser | None = None
        self._messages = 0
        self._received = 0
        self._headers: dict[bytes, str] = {}
        self._body: list[bytes] = []
        self.idle_since = 0.0

    @property
    def usable(self) -> bool:
        """Whether another question may be asked."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> HttpAnswer:
        """Send ``request`` and await the answer. Who is cancelled meanwhile must :meth:`drop` the line."""
        if self._transport is None:
            raise ConnectionResetError
        self._answer = asyncio.get_running_loop().create_future()
        self._parser = HttpResponseParser(self)
        self._messages, self._received = 0, 0
        self._headers, self._body = {}, []
        self._transport.write(request)
        return await self._answer

    def drop(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        # uvloop's are no subclass of it.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`."""
        if self._answer is None or self._answer.done() or self._parser is None:
            self.drop()  # nobody has asked
            return
        self._received += len(data)
        if self._received > MAX_ANSWER_BYTES:
            self._fail(OversizedError())
            return
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            self._fail(ConnectionError("unreadable"))

    def connection_lost(self, exc: Exception | None) -> None:
        """See :class:`asyncio.Protocol`."""
        self._transport = None
        self._fail(exc or ConnectionResetError())

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self.drop()

    def on_message_begin(self) -> None:
        """Called by the parser. What follows an answer belongs to nobody, and the line goes."""
        self._messages += 1
        if self._messages > 1:
            self.drop()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        name = name.lower()
        if name in (b"date", b"retry-after"):
            self._headers[name] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        if self._parser is None or self._answer is None or self._answer.done():
            return
        status = self._parser.get_status_code()
        if status < 200:
            self._fail(ConnectionError("unexpected"))
            return
        date, retry_after = self._headers.get(b"date"), self._headers.get(b"retry-after")
        self._answer.set_result(HttpAnswer(status, date, retry_after, b"".join(self._body)))
        if not self._parser.should_keep_alive():
            self.drop()


class Lines:
    """Kept-alive lines to one API server; see :class:`~workspace_authz.kubernetes.http.ReviewTransport`.

    As many as are asked on at once: who asks must bound that.
    """

    def __init__(self, configuration: ApiConfiguration) -> None:
        url = urlsplit(str(configuration.host))
        if not url.hostname:
            raise ValueError("the API server's URL has no host")
        self._configuration = configuration
        self._tls = tls_of(configuration) if url.scheme == "https" else None
        self._host = url.hostname
        self._port = url.port or (443 if self._tls else 80)
        self._server_name = (configuration.server_name or self._host) if self._tls else None
        self._base = url.path.rstrip("/")
        self._head = (
            f" HTTP/1.1\r\nHost: {url.netloc.rpartition('@')[2]}\r\nUser-Agent: {USER_AGENT}\r\n"
            "Accept: application/json\r\nContent-Type: application/json\r\n"
        )
        self._idle: list[Line] = []

    async def post(
        self, path: str, document: Mapping[str, Any], *, token: str | None, timeout: float
    ) -> HttpAnswer:
        """See :class:`~workspace_authz.kubernetes.http.ReviewTransport`."""
        request = self._request(path, json.dumps(document).encode(), token)
        async with asyncio.timeout(timeout):
            line = self._kept() or await self._connected(timeout / 2)
            try:
                posted = await line.ask(request)
            except BaseException:
                line.drop()
                raise
        if line.usable:
            line.idle_since = asyncio.get_running_loop().time()
            self._idle.append(line)
        return posted

    def _request(self, path: str, body: bytes, token: str | None) -> bytes:
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError("a caller's request needs the caller's token")
        head = f"POST {self._base}{path}{self._head}Authorization: Bearer {token}\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode("ascii") + body

    def _kept(self) -> Line | None:
        """The line that was used last: the others may rest until the API server closes them."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            line = self._idle.pop()
            if line.usable and now - line.idle_since < KEPT_ALIVE_SECONDS:
                return line
            line.drop()
        return None

    async def _connected(self, seconds: float) -> Line:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                transport, line = await loop.create_connection(
                    Line, self._host, self._port, ssl=self._tls, server_hostname=self._server_name
                )
        except ssl.SSLCertVerificationError:
            if self._tls is not None:
                await asyncio.to_thread(trust_again, self._tls, self._configuration)
            raise
        detect_dead_peer(transport.get_extra_info("socket"))
        return line

    async def close(self) -> None:
        """See :class:`~workspace_authz.kubernetes.http.ReviewTransport`."""
        while self._idle:
            self._idle.pop().drop()
        await asyncio.sleep(0)


def caller_transport(configuration: ApiConfiguration, *, limit: int) -> ReviewTransport:
    """The quickest way for callers' reviews, of which no more than ``limit`` are asked at once."""
    if configuration.proxy:
        return caller_connection(configuration, limit=limit)
    return Lines(configuration)
