"""HTTP servers in a thread of their own: one that answers as a test says, and any ASGI app."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import uvicorn

from tests.harness.http_server import serving


@dataclass(slots=True)
class Scripted:
    """A server that answers by method and path (without query), and writes down what it was asked."""

    url: str
    answers: dict[str, tuple[int, Any]]
    headers: dict[str, str] = field(default_factory=dict)
    """Of every answer."""
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    """``METHOD path`` and headers."""


@contextmanager
def scripted(answers: dict[str, tuple[int, Any]]) -> Iterator[Scripted]:
    """Answers of type ``str`` are sent as they are, others as JSON; what is not there is a 404."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = f"{self.command} {self.path.partition('?')[0]}"
            script.asked.append((request, dict(self.headers)))
            status, body = script.answers.get(request, (404, {"message": "not found"}))
            content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response_only(status)
            for name, value in {"Content-Length": str(len(content)), **script.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer  # noqa: N815 - http.server's names

    with serving(Handler) as url:
        script = Scripted(url, answers)
        yield script


@contextmanager
def asgi(app: Any) -> Iterator[str]:
    """An ASGI app under uvicorn; yields its URL."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="on"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
            assert thread.is_alive()
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
