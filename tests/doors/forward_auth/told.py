"""A real proxy between a raw client and two stand-ins: a door that allows everything, and an MLflow."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit

from tests.harness.forward_auth import Door, proxy
from tests.harness.http_server import JsonHandler, serving
from workspace_authz.aio.asgi import Message
from workspace_authz.doors.forward_auth.answers import passed
from workspace_authz.doors.forward_auth.dialects import Original, Question, dialect_at
from workspace_authz.doors.forward_auth.senders import SECRET_HEADER
from workspace_authz.effects.effects import Effects
from workspace_authz.effects.headers import HeaderSanitizer
from workspace_authz.errors import RequestError
from workspace_authz.types import UserInfo

WORKSPACE = "team-a"
_SECONDS = 60.0
"""How long an answer may take on a busy machine."""
SECRET = "a-secret-of-the-proxy-and-the-door"
EFFECTS = Effects(
    headers=HeaderSanitizer(workspace=WORKSPACE), caller=UserInfo("alice", groups=("readers", "writers"))
)
Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Received:
    """What the stand-in for MLflow got."""

    method: str
    target: bytes
    headers: Headers
    body: bytes

    def values(self, name: bytes) -> list[bytes]:
        """Every value of a header, whatever its letters' case."""
        return [value for key, value in self.headers if key == name]


@dataclass(slots=True)
class Told:
    """Of the last request: what the door was told, and what MLflow got."""

    url: str = ""
    name: str = ""
    """Of the proxy."""
    original: Original | None = None
    failing: str = ""
    """How the door fails to answer; empty where it does not."""
    body: bytes | None = None
    """As the door could read it; None where it was not delivered."""
    received: list[Received] = field(default_factory=list)

    def send(self, request: bytes) -> bytes:
        """Send raw bytes, and return the answer. Both sides forget what they got before."""
        self.original, self.body, self.received = None, None, []
        parts = urlsplit(self.url)
        with socket.create_connection((parts.hostname, parts.port), timeout=_SECONDS) as connection:
            answer = b""
            # A proxy that refuses a large body may hang up before it has come.
            with suppress(ConnectionError):
                connection.sendall(request)
                while not _complete(answer) and (part := connection.recv(65536)):
                    answer += part
        return answer


def _complete(answer: bytes) -> bool:
    """Whether all has come that is announced. Envoy keeps a connection for a second after an error."""
    head, end, content = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length: *(\d+)", head)
    return bool(end) and length is not None and len(content) >= int(length[1])


def get(target: bytes, *headers: bytes, method: bytes = b"GET", body: bytes = b"") -> bytes:
    """A raw request after which the connection is closed."""
    lines = [method + b" " + target + b" HTTP/1.1", b"Host: mlflow.example.com", *headers]
    if not any(line.lower().startswith(b"connection:") for line in headers):
        lines.append(b"Connection: close")
    return b"\r\n".join([*lines, b"", body])


def status_of(answer: bytes) -> int:
    """The status of a raw answer; 0 where there is none."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0


@contextmanager
def told_by(name: str, state: Path) -> Iterator[Told]:
    """The proxy ``name``, by the example that is shipped."""
    told = Told()
    with serving(_door(told)) as door, serving(_mlflow(told)) as upstream:
        stand_in = cast(Door, SimpleNamespace(address=door.removeprefix("http://"), secret=SECRET))
        with proxy(name, state, upstream=upstream, door=stand_in) as url:
            told.url = url
            yield told


def _headers(handler: BaseHTTPRequestHandler) -> Headers:
    return [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in handler.headers.items()
    ]


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    if "chunked" not in handler.headers.get("Transfer-Encoding", ""):
        return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    body = b""
    while size := int(handler.rfile.readline().split(b";")[0], 16):
        body += handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()
    return body


class _AnyMethod(JsonHandler):
    """Answers each method in the same way."""

    protocol_version = "HTTP/1.1"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self.serve
        raise AttributeError(name)

    def serve(self) -> None:
        """Answer one request."""

    def fail(self, how: str) -> None:
        """Give no answer that could be one."""
        if how != "hangs up":
            self.wfile.write(f"HTTP/1.1 {how} X\r\nContent-Length: 0\r\n\r\n".encode())
        self.close_connection = True

    def done(self, headers: Headers) -> None:
        """Answer 200 without content."""
        self.send_response(200)
        for name, value in headers:
            self.send_header(name.decode(), value.decode())
        self.send_header("Content-Length", "0")
        self.end_headers()


def _door(told: Told) -> type[BaseHTTPRequestHandler]:
    class DoorHandler(_AnyMethod):
        def serve(self) -> None:
            body, target = _body(self), self.path.encode("latin-1")
            if told.failing:
                self.fail(told.failing)
                return
            raw_path, _, query = target.partition(b"?")
            scope = {
                "type": "http",
                "method": self.command,
                "path": raw_path.decode("latin-1"),
                "raw_path": raw_path,
                "query_string": query,
                "headers": _headers(self),
                "client": self.client_address,
            }

            async def receive() -> Message:
                return {"type": "http.request", "body": body, "more_body": False}

            dialect = dialect_at(raw_path)
            assert dialect is not None, raw_path
            question = Question(scope, receive, 2**20)
            assert question.one(SECRET_HEADER) == SECRET.encode()
            try:
                original = dialect.read(question)
                headers = [pair for pair in original.headers if pair[0] != SECRET_HEADER]
                answer = passed(EFFECTS, headers, dialect=dialect)
            except RequestError as error:
                self.send_error(403, error.message)
                return
            told.original = original
            with suppress(RequestError):
                told.body = asyncio.run(original.body.read())
            self.done(answer)

    return DoorHandler


def _mlflow(told: Told) -> type[BaseHTTPRequestHandler]:
    class MlflowHandler(_AnyMethod):
        def serve(self) -> None:
            body = _body(self)
            told.received.append(Received(self.command, self.path.encode("latin-1"), _headers(self), body))
            self.done([])

    return MlflowHandler
