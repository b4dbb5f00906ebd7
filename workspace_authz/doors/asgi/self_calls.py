"""What MLflow asks of this server while it serves a call of the AI gateway: for a guardrail.

MLflow sends these over the network, to the host that the *caller* named in ``Host``, with the caller's
``Authorization`` and a header that switches guardrails off, which it takes from anybody
(``mlflow.gateway.guardrails``, ``mlflow.server.asgi_utils.get_server_base_url``). Here they stay in the
process: who serves a gateway call holds a :class:`SelfCalls`, through which it may ask in that call's name.
The question passes the guard like any other, as the caller, so Kubernetes decides on it; and since nothing on
the wire stands for a self-call, there is no credential that could be captured, replayed or passed on.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass, field
from urllib.parse import quote

from workspace_authz.aio.asgi import Message, Receive, Scope, Send
from workspace_authz.authorizer.reviewers import bearer_token
from workspace_authz.identity.credentials import AUTHORIZATION
from workspace_authz.mlflow_adapter.serving import SelfAnswer, SelfCall
from workspace_authz.types import Caller
from workspace_authz.workspaces.requested import WORKSPACE_HEADER

Serve = Callable[[Scope, Receive, Send, SelfCall], Awaitable[None]]
"""The guard. Raises :class:`RequestError` when it refuses."""


class GuardedSelfCalls:
    """The right to ask this server in the name of the caller whose gateway call ``scope`` is being served.

    ``workspace`` is the one that was checked, None on a server without workspaces.
    """

    def __init__(self, serve: Serve, scope: Scope, *, caller: Caller, workspace: str | None) -> None:
        self._serve = serve
        self._scope = scope
        self._caller = caller
        self.workspace = workspace
        self._loop = asyncio.get_running_loop()

    async def ask(self, call: SelfCall, *, seconds: float) -> SelfAnswer:
        """The answer. Raises :class:`RequestError` where the guard refuses, and ``TimeoutError``."""
        # In a context of its own, as it would have over the network: neither a span of the call that is being
        # served nor this right gets into it.
        asking = self._loop.create_task(self._ask(call), context=Context())
        async with asyncio.timeout(seconds):
            return await asking

    def ask_from_thread(self, call: SelfCall, *, seconds: float) -> SelfAnswer:
        """As :meth:`ask`, for a worker thread of the call that is being served."""
        return asyncio.run_coroutine_threadsafe(self.ask(call, seconds=seconds), self._loop).result()

    async def _ask(self, call: SelfCall) -> SelfAnswer:
        body = json.dumps(call.document).encode()
        answer = _Answer()
        await self._serve(self._scope_of(call, len(body)), _Once(body), answer.send, call)
        return SelfAnswer(answer.status, answer.content_type, b"".join(answer.parts))

    def _scope_of(self, call: SelfCall, length: int) -> Scope:
        headers = [(name.lower().encode(), value.encode()) for name, value in call.headers.items()]
        headers += [
            (b"content-type", b"application/json"),
            (b"content-length", str(length).encode()),
            (AUTHORIZATION, f"Bearer {bearer_token(self._caller.credential)}".encode()),
        ]
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
