"""Our own middlewares called as ASGI, with nothing of MLflow behind them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from workspace_authz.aio.asgi import App, Message, Receive, Scope, Send

TOKEN = (b"authorization", b"Bearer alice-token")
TEAM_A = (b"x-mlflow-workspace", b"team-a")


async def beyond(scope: Scope, receive: Receive, send: Send) -> None:
    """What is not ours: answers 299."""
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send({"type": "http.response.body", "body": b"beyond"})


@dataclass
class Answer:
    """What came back."""

    status: int = 0
    body: bytes = b""
    headers: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def document(self) -> Any:
        return json.loads(self.body)


async def call(app: App, method: str, path: str, *headers: tuple[bytes, bytes], body: bytes = b"") -> Answer:
    answer = Answer()

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        answer.status = message.get("status", answer.status)
        answer.headers.update(message.get("headers", ()))
        answer.body += message.get("body", b"")

    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": list(headers),
        "query_string": query.encode(),
    }
    await app(scope, receive, send)
    return answer
