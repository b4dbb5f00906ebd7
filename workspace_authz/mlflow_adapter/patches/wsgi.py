"""MLflow's Flask app behind ASGI, with bounded memory (MLflow 3.16.1 and 3.17.2).

``mlflow.server.fastapi_app`` mounts its Flask app by Starlette's WSGI bridge. Without this patch a request's
body is kept in memory whole, and an answer goes into a queue without bound while its client does not read.
And a client that goes away in the middle of a body makes MLflow serve the half of it.

Here a large body is kept in a temporary file. An answer is read from Flask piece by piece, each after the
client took the one before; between two pieces the answer holds no thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextvars import copy_context
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any, Final

from anyio import to_thread
from fastapi import FastAPI
from flask import Flask
from starlette.middleware.wsgi import build_environ
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from workspace_authz.mlflow_adapter.serving import UNREAD_SECONDS

_log = logging.getLogger(__name__)

SPOOLED_BYTES: Final = 1024 * 1024
"""Bytes of a body that stay in memory; a larger one goes to a temporary file."""
PIECE_BYTES: Final = 64 * 1024
"""An answer is sent in pieces of at least this size."""

Environ = MutableMapping[str, Any]


def apply(app: FastAPI) -> None:
    """Replace the bridge in ``app``. One that is not recognized stays as it is."""
    mounts = [route for route in app.routes if isinstance(route, Mount)]
    bridges = [mount for mount in mounts if isinstance(getattr(mount.app, "app", None), Flask)]
    if not bridges:
        _log.warning("MLflow's WSGI bridge is not recognized: answers of slow clients are kept in memory")
    for mount in bridges:
        mount.app = WSGIBridge(getattr(mount.app, "app"))  # noqa: B009 - ASGIApp declares no attributes


class WSGIBridge:
    """An ASGI app that serves the WSGI app ``app``."""

    def __init__(self, app: Any, *, unread_seconds: float = UNREAD_SECONDS) -> None:
        self.app = app
        self._unread_seconds = unread_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection. WSGI knows no WebSocket: it is refused, as by MLflow's own bridge."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        if scope["type"] != "http":
            return
        with SpooledTemporaryFile(max_size=SPOOLED_BYTES) as body:
            if not await _received(body, receive):
                return
            await self._answer(_environ(scope, body), send)

    async def _answer(self, environ: Environ, send: Send) -> None:
        answer = _Answer(self.app, environ)
        # One context for all pieces: a generator may reset a context variable that it has set.
        run = copy_context().run
        started = more = False
        try:
            while more or not started:
                piece = await to_thread.run_sync(run, answer.next_piece)
                more = piece.more
                if not started:
                    await send(answer.start)
                    started = True
                if not await self._sent(piece, send):
                    return
        finally:
            if more:
                await to_thread.run_sync(run, answer.close)

    async def _sent(self, piece: _Piece, send: Send) -> bool:
        """Send ``piece``. Returns False when the client takes nothing for too long."""
        try:
            async with asyncio.timeout(self._unread_seconds):
                await send({"type": "http.response.body", "body": piece.content, "more_body": piece.more})
        except TimeoutError:
            _log.info("a client did not read its answer for %g seconds", self._unread_seconds)
            return False
        return True


async def _received(body: SpooledTemporaryFile[bytes], receive: Receive) -> bool:
    """Write the request's body to ``body``. Returns False when the client went away before its end."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return False
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > SPOOLED_BYTES:
            await to_thread.run_sync(body.write, chunk)
        else:
            body.write(chunk)
        more = message.get("more_body", False)
    return True


def _environ(scope: Scope, body: SpooledTemporaryFile[bytes]) -> Environ:
    environ: Environ = build_environ(scope, b"")
    if size := body.tell():
        # Flask reads no body without a length, and a body in chunks has none.
        environ.setdefault("CONTENT_LENGTH", str(size))
    body.seek(0)
    environ["wsgi.input"] = body
    return environ


@dataclass(frozen=True, slots=True)
class _Piece:
    content: bytes
    more: bool


class _Answer:
    """One answer of a WSGI app. Its methods run in worker threads, one at a time."""

    def __init__(self, app: Callable[..., Iterable[bytes]], environ: Environ) -> None:
        self._app = app
        self._environ = environ
        self._iterable: Iterable[bytes] = ()
        self._chunks: Iterator[bytes] | None = None
        self._exc_info: Any = None
        self._gathers = False
        self.start: dict[str, Any] = {}
        """The ASGI message that starts the answer; set with the first piece."""

    def next_piece(self) -> _Piece:
        """The next piece. An answer of unknown length may be slow, so its chunks are not gathered."""
        if self._chunks is None:
            self._iterable = self._app(self._environ, self._start_response)
            self._chunks = iter(self._iterable)
        gathered: list[bytes] = []
        size = 0
        for chunk in self._chunks:
            gathered.append(chunk)
            size += len(chunk)
            if size >= PIECE_BYTES or not self._gathers:
                return _Piece(b"".join(gathered), more=True)
        self.close()
        if self._exc_info is not None:
            raise self._exc_info[1].with_traceback(self._exc_info[2])
        return _Piece(b"".join(gathered), more=False)

    def close(self) -> None:
        """Let the app release what the answer holds (PEP 3333)."""
        close = getattr(self._iterable, "close", None)
        if close is not None:
            close()

    def _start_response(self, status: str, headers: list[tuple[str, str]], *exc_info: Any) -> None:
        self._exc_info = exc_info[0] if exc_info else None
        if self.start:
            return
        encoded = [
            (name.strip().lower().encode("latin-1"), value.strip().encode("latin-1"))
            for name, value in headers
        ]
        self._gathers = any(name == b"content-length" for name, _ in encoded)
        self.start = {
            "type": "http.response.start",
            "status": int(status.split(" ", 1)[0]),
            "headers": encoded,
        }
