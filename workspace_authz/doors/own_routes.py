"""Requests to our own routes: each is answered or refused, and leaves one audit record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from workspace_authz.aio.asgi import Scope, Send
from workspace_authz.doors.asgi.audit import AuditedRequest
from workspace_authz.doors.asgi.protocol import refuse, route_path
from workspace_authz.effects.effects import Effects
from workspace_authz.errors import RequestError
from workspace_authz.pipeline.verdict import Findings, Pass, Refuse
from workspace_authz.runtime.runtime import Runtime
from workspace_authz.types import Caller


class OwnRequest:
    """One request to a route of ours."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._caller: Caller | None = None
        self._workspace: str | None = None
        self._change = ""

    @property
    def caller(self) -> Caller | None:
        """Who asks, as far as that is known."""
        return self._caller

    def identified(self, caller: Caller) -> None:
        """Note who asks, for the audit record."""
        self._caller = caller

    def changes(self, workspace: str, change: str) -> None:
        """Note what is about to be changed in Kubernetes, in words, for the audit record."""
        self._workspace, self._change = workspace, change

    def findings(self) -> Findings:
        """What the audit record shows."""
        return Findings(caller=self._caller, workspace=self._workspace, change=self._change)


@dataclass(frozen=True, slots=True)
class OwnAnswer:
    """What a route of ours answers."""

    content: bytes
    content_type: str
    status: int = 200
    headers: Sequence[tuple[bytes, bytes]] = ()
    """More headers."""
    cache_control: bytes = b"no-store"
    """Who may keep it."""

    async def send(self, send: Send, *, head: bool) -> None:
        """Send it; without its content as the answer to a HEAD."""
        headers = [
            (b"content-type", self.content_type.encode()),
            (b"content-length", str(len(self.content)).encode()),
            (b"cache-control", self.cache_control),
            *self.headers,
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if head else self.content})


class Work(Protocol):
    """Makes an answer."""

    async def __call__(self, own: OwnRequest) -> OwnAnswer:
        """The answer. Notes the caller. Raises :class:`RequestError`."""


async def serve(
    work: Work,
    *,
    scope: Scope,
    send: Send,
    runtime: Callable[[], Runtime],
    refusal: Callable[[RequestError], OwnAnswer] | None = None,
) -> None:
    """Answer one request to one of our routes. ``refusal`` shows an error; otherwise it is JSON."""
    head = scope["method"] == "HEAD"
    try:
        own = OwnRequest(runtime())
    except RequestError as error:
        await refuse(error, send, head=head)
        return
    audited = AuditedRequest(
        own.runtime.audit, method=scope["method"], path=route_path(scope), history=own.runtime.history
    )
    outgoing = audited.watch(send)
    try:
        answer = await work(own)
        audited.judged(Pass(own.findings(), Effects()))
        await answer.send(outgoing, head=head)
    except RequestError as error:
        audited.judged(Refuse(own.findings(), error))
        if refusal is None:
            await refuse(error, outgoing, head=head)
        else:
            await refusal(error).send(outgoing, head=head)
    finally:
        audited.finish()
