"""Requests to our own routes: each is answered or refused, and leaves one audit record."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from workspace_authz.aio.asgi import Scope, Send
from workspace_authz.doors.asgi.audit import Trail
from workspace_authz.doors.asgi.protocol import refuse, route_path
from workspace_authz.errors import RequestError
from workspace_authz.pipeline.verdict import Verdict
from workspace_authz.runtime.runtime import Runtime


class Work(Protocol):
    """Makes the content of an answer."""

    def __call__(self, *, runtime: Runtime, verdict: Verdict) -> Awaitable[bytes]:
        """The content. Sets the verdict's caller. Raises :class:`RequestError`."""


async def serve(
    work: Work, *, scope: Scope, send: Send, runtime: Callable[[], Runtime], content_type: str
) -> None:
    """Answer one request to one of our routes."""
    head = scope["method"] == "HEAD"
    try:
        running = runtime()
    except RequestError as error:
        await refuse(error, send, head=head)
        return
    verdict = Verdict()
    trail = Trail(running.audit, scope["method"], route_path(scope))
    outgoing = trail.watch(send, verdict)
    try:
        content = await work(runtime=running, verdict=verdict)
        verdict.passed = True
        trail.judged()
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(content)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await outgoing({"type": "http.response.start", "status": 200, "headers": headers})
        await outgoing({"type": "http.response.body", "body": b"" if head else content})
    except RequestError as error:
        verdict.error = error
        trail.judged()
        await refuse(error, outgoing, head=head)
    finally:
        trail.finish(verdict)
