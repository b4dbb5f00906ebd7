"""MLflow's calls to this server while it serves a call of the AI gateway: for a guardrail.

MLflow sends these over the network, to the host that the *caller* named in ``Host``, with the caller's
``Authorization`` and a header that switches guardrails off, which it takes from anybody
(``mlflow.gateway.guardrails``, ``mlflow.server.asgi_utils.get_server_base_url``, 3.17.2). Here they stay in
the process. A door that serves a gateway call gives MLflow a :class:`GuardedSelfCalls`. A call through it is
judged like any other request of the same caller, so Kubernetes decides on it. Nothing on the wire stands for
a self-call, so there is no credential that could be captured, replayed or passed on.
"""

from __future__ import annotations

import asyncio
import json
from contextvars import Context
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote

from workspace_authz.aio.asgi import Message, Receive, Scope, Send
from workspace_authz.mlflow_adapter.reading.request import SelfRequest
from workspace_authz.mlflow_adapter.serving import SelfAnswer, SelfCall
from workspace_authz.types import Caller
from workspace_authz.workspaces.requested import WORKSPACE_HEADER


class Serve(Protocol):
    """The guard."""

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, *, by_mlflow: SelfRequest | None
    ) -> None:
        """Serve one request. Raises :class:`RequestError` when the guard refuses it."""


class GuardedSelfCalls:
    """Implements :class:`~workspace_authz.mlflow_adapter.serving.SelfCalls`.

    ``scope`` is that of the gateway call which is being served. ``workspace`` was checked for it; it is None
    on a server without workspaces.
    """

    def __init__(self, serve: Serve, scope: Scope, *, caller: Caller, workspace: str | None) -> None:
        self._serve = serve
        self._scope = scope
        self._caller = caller
        self.workspace = workspace
        self._loop = asyncio.get_running_loop()

    async def ask(self, call: SelfCall, *, seconds: float) -> SelfAnswer:
        """See :class:`~workspace_authz.mlflow_adapter.serving.SelfCalls`."""
        # In a context of its own, as it would have over the network: neither a span of the call that is being
        # served nor this right gets into it.
        asking = self._loop.create_task(self._ask(call), context=Context())
        async with asyncio.timeout(seconds):
            return await asking

    def ask_from_thread(self, call: SelfCall, *, seconds: float) -> SelfAnswer:
        """See :class:`~workspace_authz.mlflow_adapter.serving.SelfCalls`."""
        return asyncio.run_coroutine_threadsafe(self.ask(call, seconds=seconds), self._loop).result()

    async def _ask(self, call: SelfCall) -> SelfAnswer:
        body = json.dumps(call.document).encode()
        answer = _Answer()
        await self._serve(
            self._scope_of(call, len(body)),
            _Once(body),
            answer.send,
            by_mlflow=SelfRequest(self._caller, call.skips_guardrails),
        )
        return SelfAnswer(answer.status, answer.content_type, b"".join(answer.parts))

    def _scope_of(self, call: SelfCall, length: int) -> Scope:
        headers = [(name.lower().encode(), value.encode()) for name, value in call.headers.items()]
        headers += [(b"content-type", b"application/json"), (b"content-length", str(length).encode())]
        if self.workspace is not None:
            headers.append((WORKSPACE_HEADER, self.workspace.encode("ascii")))
        path = self._scope.get("root_path", "").rstrip("/") + call.path
        return {
            **self._scope,
            "method": "POST",
            "path": path,
            "raw_path": quote(path).encode(),
            "query_string": b"",
            "headers": headers,
        }


class _Once:
    """Hands out a body, then keeps the connection open: nobody goes away."""

    def __init__(self, body: bytes) -> None:
        self._messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def __call__(self) -> Message:
        if not self._messages:
            await asyncio.Event().wait()
        return self._messages.pop()


@dataclass(slots=True)
class _Answer:
    """Gathers a response."""

    status: int = 0
    content_type: str = ""
    parts: list[bytes] = field(default_factory=list)

    async def send(self, message: Message) -> None:
        """Take one ASGI message."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.content_type = dict(message["headers"]).get(b"content-type", b"").decode("latin-1")
        elif message["type"] == "http.response.body":
            self.parts.append(message.get("body", b""))
