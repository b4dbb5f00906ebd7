"""ASGI in types, and the answer that a refusal is."""

from __future__ import annotations

import json

from workspace_authz.aio.asgi import Message, Scope, Send
from workspace_authz.errors import RequestError


def route_path(scope: Scope) -> str:
    """The path below ``root_path``, as Starlette and MLflow's WSGI bridge route it."""
    path: str = scope["path"]
    return path[len(_root(scope)) :] or "/"


def _root(scope: Scope) -> str:
    """The root path, if the path lies below it; else empty. uvicorn puts it in front of both paths."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    return root if path == root or path.startswith(root + "/") else ""


def raw_route_path(scope: Scope) -> bytes:
    """:func:`route_path` as it was sent, percent-encoded; empty where the server does not tell."""
    raw: bytes = scope.get("raw_path") or b""
    root = _root(scope)
    return raw.removeprefix(root.encode()) if root else raw


def at_route(scope: Scope, *, path: str, raw_path: bytes) -> Scope:
    """``scope`` for another route path, below the same root path."""
    root = _root(scope)
    return {**scope, "path": root + path, "raw_path": root.encode() + raw_path}


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
