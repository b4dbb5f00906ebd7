"""Questions to the door as ASGI, over the pipeline of :mod:`tests.pipeline.world`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.harness.fakes import Records
from workspace_authz.aio.asgi import Message, Scope
from workspace_authz.doors.forward_auth.door import ForwardAuthDoor
from workspace_authz.identity.authenticator import Presented
from workspace_authz.pipeline.pipeline import Pipeline
from workspace_authz.telemetry.metrics import Metrics, NoMetrics

Headers = list[tuple[bytes, bytes]]
CALLER: Headers = [(b"authorization", b"Bearer token"), (b"x-mlflow-workspace", b"team-a")]
NGINX, TRAEFIK, TRAEFIK_BODY = "nginx", "traefik", "traefik-with-body"
ENVOY, ENVOY_BODY = "envoy", "envoy-with-body"
PROOF = (b"x-proof", b"good")


class Anybody:
    """Believes who sends a header."""

    headers = frozenset({PROOF[0]})

    async def verified(self, presented: Presented) -> bool:
        return PROOF in presented.headers


@dataclass
class Judge:
    """A running process."""

    pipeline: Pipeline
    audit: Records = field(default_factory=Records)
    metrics: Metrics = field(default_factory=NoMetrics)
    body_bytes: int = 2**20
    obstacle: Callable[[], str | None] = lambda: None


@dataclass
class Answer:
    """What the proxy is told."""

    status: int = 0
    headers: Headers = field(default_factory=list)
    content: bytes = b""

    def header(self, name: bytes) -> bytes | None:
        found = [value for key, value in self.headers if key == name]
        assert len(found) < 2
        return found[0] if found else None

    @property
    def message(self) -> str:
        return str(json.loads(self.content)["message"])


def question(
    dialect: str, method: str, target: bytes, *, headers: Headers | None = None, body: bytes = b""
) -> Scope:
    """How a proxy asks about one request."""
    path = f"/workspace-authz/forward-auth/{dialect}".encode()
    given, sent = [PROOF, *(CALLER if headers is None else headers)], method
    if dialect == NGINX:
        given += [(b"x-original-method", method.encode()), (b"x-original-uri", target)]
        given += [(b"x-original-protocol", b"HTTP/1.1")]
        given += [(b"x-original-length", str(len(body)).encode())] if body else []
        sent = "GET"
    elif dialect.startswith(TRAEFIK):
        given += [(b"x-forwarded-method", method.encode()), (b"x-forwarded-uri", target)]
        sent = "GET"
    raw_path, _, query = target.partition(b"?") if dialect.startswith(ENVOY) else (b"", b"", b"")
    if dialect.endswith("with-body") and body:
        given.append((b"content-length", str(len(body)).encode()))
    return {
        "type": "http",
        "method": sent,
        "path": (path + raw_path).decode("latin-1"),
        "raw_path": path + raw_path,
        "query_string": query,
        "headers": given,
        "client": ("192.0.2.1", 1),
    }


async def asked(judge: Judge, scope: Scope, *, body: bytes = b"") -> Answer:
    """What the door answers."""
    answer, waiting = Answer(), [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        answer.status = message.get("status", answer.status)
        answer.headers += message.get("headers", ())
        answer.content += message.get("body", b"")

    await ForwardAuthDoor(judge=lambda: judge, senders=Anybody())(scope, receive, send)
    return answer
