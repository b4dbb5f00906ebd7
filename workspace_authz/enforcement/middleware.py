"""The guard as pure ASGI: judge, then refuse or hand on. Responses and streams are never buffered."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any, Protocol

from workspace_authz.enforcement.pipeline import Pipeline
from workspace_authz.enforcement.request import AccessRequest, Message, Receive, ReplayedBody
from workspace_authz.enforcement.stamping import Replacement, stamped
from workspace_authz.enforcement.stripping import forwarded_headers
from workspace_authz.enforcement.verdict import Verdict
from workspace_authz.errors import RequestError
from workspace_authz.identity.current import current_user
from workspace_authz.telemetry.audit import AuditSink
from workspace_authz.telemetry.metrics import Metrics
from workspace_authz.types import UserInfo
from workspace_authz.workspaces.visible import visible_workspaces

Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Guard(Protocol):
    """What the middleware needs of the running process."""

    @property
    def pipeline(self) -> Pipeline:
        """Judges requests."""

    @property
    def audit(self) -> AuditSink:
        """Takes one record per request."""

    @property
    def metrics(self) -> Metrics:
        """Counts requests and decisions."""

    @property
    def body_bytes(self) -> int:
        """The largest body in which names are looked for."""


class GuardMiddleware:
    """Puts every HTTP request before the pipeline. ``guard`` is asked for per request: it starts later."""

    def __init__(self, app: App, *, guard: Callable[[], Guard]) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection. What is not HTTP goes on: MLflow serves no WebSocket and refuses them."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            guard = self._guard()
        except RequestError as error:
            await refuse(error, send, head=scope["method"] == "HEAD")
            return
        started = time.perf_counter()
        body = ReplayedBody(receive, limit=guard.body_bytes)
        request = AccessRequest(
            method=scope["method"],
            path=route_path(scope),
            headers=scope["headers"],
            query=scope["query_string"],
            body=body,
        )
        verdict: Verdict | None = None
        trail = _Trail(guard.audit, request, started)
        try:
            verdict = await guard.pipeline.judge(request)
            replacement = await _stamped(request, verdict)
            seconds = trail.judged()
            _count(guard.metrics, verdict, seconds)
            outgoing = trail.watch(send, verdict)
            if verdict.passed:
                # Without workspaces MLflow refuses the header that names one.
                told = None if guard.pipeline.rule.single else verdict.workspace
                inner = _rewritten(scope, body, replacement)
                await self._pass(inner, body, outgoing, verdict=verdict, workspace=told)
            else:
                await refuse(verdict.error, outgoing, head=request.method == "HEAD")
        finally:
            trail.finish(verdict)

    async def _pass(
        self, scope: Scope, body: ReplayedBody, send: Send, *, verdict: Verdict, workspace: str | None
    ) -> None:
        route = verdict.route
        headers = forwarded_headers(
            scope["headers"],
            workspace=workspace,
            keep_authorization=verdict.provider_keeps_authorization,
            gateway=route is not None and route.path.startswith("/gateway/"),
            token=verdict.caller.token if verdict.caller else None,
        )
        user = verdict.caller.user if verdict.caller else None
        visible, current = visible_workspaces.set(verdict.visible), current_user.set(user)
        try:
            await self._app({**scope, "headers": headers, "state": _state(scope, user)}, body, send)
        finally:
            visible_workspaces.reset(visible)
            current_user.reset(current)


def _count(metrics: Metrics, verdict: Verdict, seconds: float) -> None:
    code = verdict.error.code if verdict.error is not None else ""
    metrics.judged(verdict.conclusion, code=code, seconds=seconds)
    for check in verdict.checks:
        decision = check.decision
        metrics.decided(check.attributes.qualified_resource, outcome=decision.outcome, source=decision.source)


async def _stamped(request: AccessRequest, verdict: Verdict) -> Replacement | None:
    """The body with the caller in it where the route wants that; a body that cannot have it is refused."""
    if not verdict.passed or verdict.route is None or verdict.caller is None:
        return None
    try:
        return await stamped(request, verdict.route, user=verdict.caller.user)
    except RequestError as error:
        verdict.passed, verdict.error = False, error
        return None


def _rewritten(scope: Scope, body: ReplayedBody, replacement: Replacement | None) -> Scope:
    if replacement is None:
        return scope
    body.replace(replacement.content)
    return {**scope, "headers": replacement.headers(scope["headers"])}


def _state(scope: Scope, user: UserInfo | None) -> dict[str, Any]:
    """``request.state``, where MLflow's native routes find the user: for budgets, creators, traces."""
    state: dict[str, Any] = scope.get("state", {})
    return {**state, "username": user.username, "user_id": user.uid or user.username} if user else state


def route_path(scope: Scope) -> str:
    """The path below ``root_path``, as Starlette and MLflow's WSGI bridge route it."""
    path: str = scope["path"]
    root = scope.get("root_path", "").rstrip("/")
    if root and (path == root or path.startswith(root + "/")):
        return path[len(root) :] or "/"
    return path


async def refuse(error: RequestError | None, send: Send, *, head: bool = False) -> None:
    """Answer in MLflow's JSON error shape; a HEAD gets the same without a body."""
    refusal = error or RequestError("The request was not judged.")
    content = json.dumps({"error_code": refusal.code, "message": refusal.message}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    headers += [(name.encode(), value.encode()) for name, value in refusal.headers]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else content})


class _Trail:
    """Writes the request's one audit record: when the response starts, or at the end if none did."""

    def __init__(self, audit: AuditSink, request: AccessRequest, started: float) -> None:
        self._audit = audit
        self._request = request
        self._started = started
        self._judged = started
        self._written = False

    def judged(self) -> float:
        """Stop the clock of the authorization; its seconds."""
        self._judged = time.perf_counter()
        return self._judged - self._started

    def watch(self, send: Send, verdict: Verdict) -> Send:
        """``send``, noting the status of the response."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._write(verdict, message["status"])
            await send(message)

        return sending

    def finish(self, verdict: Verdict | None) -> None:
        """Write the record of a request that never got a response."""
        self._write(verdict or Verdict(), None)

    def _write(self, verdict: Verdict, status: int | None) -> None:
        if self._written:
            return
        self._written = True
        self._audit.write(
            {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "method": self._request.method,
                "path": self._request.path[:512] if verdict.route is None else None,
                **verdict.record(),
                "status": status,
                "duration_ms": round((self._judged - self._started) * 1000, 3),
            }
        )
