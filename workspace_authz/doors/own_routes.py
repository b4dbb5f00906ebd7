"""Requests to our own routes: each is answered or refused, and leaves one audit record."""

from __future__ import annotations

from collections.abc import Callable
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

    def identified(self, caller: Caller) -> None:
        """Note who asks, for the audit record."""
        self._caller = caller

    def findings(self) -> Findings:
        """What the audit record shows."""
        return Findings(caller=self._caller)


class Work(Protocol):
    """Makes the content of an answer."""

    async def __call__(self, own: OwnRequest) -> bytes:
        """The content. Notes the caller. Raises :class:`RequestError`."""


async def serve(
    work: Work, *, scope: Scope, send: Send, runtime: Callable[[], Runtime], content_type: str
) -> None:
    """Answer one request to one of our routes."""
    head = scope["method"] == "HEAD"
    try:
        own = OwnRequest(runtime())
    except RequestError as error:
        await refuse(error, send, head=head)
        return
    audited = AuditedRequest(own.runtime.audit, method=scope["method"], path=route_path(scope))
    outgoing = audited.watch(send)
    try:
        content = await work(own)
        audited.judged(Pass(own.findings(), Effects()))
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(content)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await outgoing({"type": "http.response.start", "status": 200, "headers": headers})
        await outgoing({"type": "http.response.body", "body": b"" if head else content})
    except RequestError as error:
        audited.judged(Refuse(own.findings(), error))
        await refuse(error, outgoing, head=head)
    finally:
        audited.finish()
