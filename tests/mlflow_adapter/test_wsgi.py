"""The bridge to Flask: what arrives, what is answered, and what is kept in memory meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest
from flask import Flask, Response, request
from mlflow.server.fastapi_app import create_fastapi_app
from starlette.routing import Mount

from tests.kubernetes.informer_server import until
from workspace_authz.aio.asgi import Message
from workspace_authz.mlflow_adapter.patches import wsgi
from workspace_authz.mlflow_adapter.patches.wsgi import PIECE_BYTES, SPOOLED_BYTES, WSGIBridge

CHUNK = b"x" * 50_000
CHUNKS = 100
variable: ContextVar[str] = ContextVar("variable", default="unset")


class App:
    """A Flask app that notes what is asked of it."""

    def __init__(self) -> None:
        self.flask = Flask("tested")
        self.made = 0
        self.closed = threading.Event()
        self.flask.add_url_rule("/echo", view_func=self.echo, methods=["GET", "POST", "PUT"])
        self.flask.add_url_rule("/large", view_func=self.large)
        self.flask.add_url_rule("/slow", view_func=self.slow)

    def echo(self) -> Response:
        return Response(request.get_data(), headers={"x-type": type(request.stream).__name__})

    def large(self) -> Response:
        def chunks() -> Iterator[bytes]:
            token = variable.set("set")
            try:
                for _ in range(CHUNKS):
                    self.made += 1
                    yield CHUNK
            finally:
                variable.reset(token)  # fails in another context than that of set()
                self.closed.set()

        return Response(chunks(), headers={"content-length": str(len(CHUNK) * CHUNKS)})

    def slow(self) -> Response:
        return Response(iter([b"one", b"two"]))


class Client:
    """Sends a body in parts and takes ``taken`` messages of the answer, or all."""

    def __init__(self, *parts: bytes, gone: bool = False, takes: int | None = None) -> None:
        self.waiting: list[Message] = [
            {"type": "http.request", "body": part, "more_body": gone or number < len(parts) - 1}
            for number, part in enumerate(parts)
        ]
        self.waiting.append({"type": "http.disconnect"})
        self.takes = takes
        self.got: list[Message] = []
        self.blocked = asyncio.Event()

    async def receive(self) -> Message:
        return self.waiting.pop(0)

    async def send(self, message: Message) -> None:
        if self.takes is not None and len(self.got) >= self.takes:
            self.blocked.set()
            await asyncio.Event().wait()
        self.got.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.got[1:])


async def served(
    app: App, client: Client, path: str, *, unread_seconds: float = 30, headers: Any = ()
) -> None:
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST" if len(client.waiting) > 1 else "GET",
        "path": path,
        "query_string": b"",
        "headers": list(headers),
    }
    if len(client.waiting) == 1:
        client.waiting.insert(0, {"type": "http.request", "body": b"", "more_body": False})
    await WSGIBridge(app.flask, unread_seconds=unread_seconds)(scope, client.receive, client.send)


@pytest.mark.parametrize("size", [1, 1000, SPOOLED_BYTES + 1, 3 * SPOOLED_BYTES])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_arrives_whole(size: int, chunked: bool) -> None:
    content = bytes(range(256)) * (size // 256) + b"e" * (size % 256)
    parts = [content[start : start + 100_000] for start in range(0, size, 100_000)]
    headers = [] if chunked else [(b"content-length", str(size).encode())]
    client = Client(*parts)
    await served(App(), client, "/echo", headers=headers)
    assert client.got[0]["status"] == 200
    assert client.body == content
    assert [message.get("more_body", False) for message in client.got[1:]][-1] is False


async def test_half_a_body_is_not_served() -> None:
    client = Client(b"half", gone=True)
    await served(App(), client, "/echo", headers=[(b"content-length", b"8")])
    assert client.got == []


async def test_an_answer_is_made_only_as_fast_as_it_is_read() -> None:
    app, client = App(), Client(takes=3)
    serving = asyncio.create_task(served(app, client, "/large"))
    await asyncio.wait_for(client.blocked.wait(), timeout=60)
    await until(lambda: app.made >= 6)
    await asyncio.sleep(0.1)
    # Two pieces of two chunks were taken and a third one waits.
    assert app.made == 6
    client.takes = None
    serving.cancel()
    await asyncio.wait([serving])
    assert app.closed.is_set()


async def test_a_whole_answer_arrives_in_pieces_of_a_usual_size() -> None:
    app, client = App(), Client()
    await served(app, client, "/large")
    assert client.body == CHUNK * CHUNKS
    assert app.closed.is_set()
    sizes = [len(message["body"]) for message in client.got[1:-1]]
    assert min(sizes) >= PIECE_BYTES
    assert max(sizes) <= PIECE_BYTES + len(CHUNK)


async def test_a_client_that_reads_nothing_is_given_up() -> None:
    app, client = App(), Client(takes=2)
    await asyncio.wait_for(served(app, client, "/large", unread_seconds=0.05), timeout=60)
    assert app.closed.is_set()
    assert app.made < CHUNKS


async def test_an_answer_without_a_length_is_sent_as_it_is_made() -> None:
    client = Client()
    await served(App(), client, "/slow")
    assert [message.get("body") for message in client.got] == [None, b"one", b"two", b""]


async def test_an_error_of_the_app_is_an_error_here() -> None:
    def broken(environ: object, start_response: object) -> list[bytes]:
        raise TimeoutError("of the app")

    app = App()
    app.flask = broken  # type: ignore[assignment]
    with pytest.raises(TimeoutError, match="of the app"):
        await served(app, Client(), "/")


async def test_a_websocket_is_refused() -> None:
    client = Client()
    await WSGIBridge(App().flask)({"type": "websocket"}, client.receive, client.send)
    assert client.got == [{"type": "websocket.close", "code": 1000}]


def test_mlflows_bridge_is_replaced() -> None:
    app = create_fastapi_app()
    wsgi.apply(app)
    assert [type(route.app) for route in app.routes if isinstance(route, Mount)] == [WSGIBridge]
