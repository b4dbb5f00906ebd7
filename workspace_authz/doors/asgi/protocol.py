"""ASGI in types, and the answer that a refusal is."""

from __future__ import annotations

import json

from workspace_authz.aio.asgi import Message, Scope, Send
from workspace_authz.errors import RequestError


def route_path(scope: Scope) -> str:
    """The path below ``root_path``, as Starlette and MLflow's WSGI bridge route it."""
    path: str = scope["path"]
    root = scope.get("root_path", "").rstrip("/")
    if root and (path == root or path.startswith(root + "/")):
        return path[len(root) :] or "/"
    return path


def peer_of(scope: Scope) -> str:
    """The client's address, or that of the last proxy that uvicorn was not told to trust."""
    client = scope.get("client")
    return str(client[0]) if client else ""


class StartedAnswer:
    """A ``send`` that knows whether an answer has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: Message) -> None:
        """Send one message."""
        self.started = True
        await self._send(message)


async def refuse(error: RequestError | None, send: Send, *, head: bool = False) -> None:
    """Answer in MLflow's JSON error shape; a HEAD gets the same without a body."""
    refusal = error or RequestError("The request was not judged.")
    content = json.dumps(refusal.document).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    headers += [(name.encode(), value.encode()) for name, value in refusal.headers]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else content})
