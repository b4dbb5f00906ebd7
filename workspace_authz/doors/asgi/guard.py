"""The guard as pure ASGI: judge, then refuse or hand on. Only a list that is filtered is held back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, Protocol

from workspace_authz.aio.asgi import App, Receive, Scope, Send
from workspace_authz.doors.asgi.audit import Trail
from workspace_authz.doors.asgi.counting import count
from workspace_authz.doors.asgi.protocol import peer_of, refuse, route_path
from workspace_authz.doors.asgi.self_calls import GuardedSelfCalls
from workspace_authz.effects.headers import forwarded_headers
from workspace_authz.effects.replacement import Replacement
from workspace_authz.effects.stamps import stamped
from workspace_authz.errors import ForbiddenError, RequestError
from workspace_authz.mlflow_adapter.reading.request import AccessRequest, ReplayedBody
from workspace_authz.mlflow_adapter.serving import SelfCall, current_user, self_calls, visible_workspaces
from workspace_authz.pipeline.pipeline import Pipeline
from workspace_authz.pipeline.verdict import Verdict
from workspace_authz.telemetry.audit import AuditSink
from workspace_authz.telemetry.metrics import Metrics
from workspace_authz.types import UserInfo

_GATEWAY_ONLY: Final = "What MLflow asks of itself is served by the AI gateway only."


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
        await self._serve(guard, scope, receive, send)

    async def _serve(
        self, guard: Guard, scope: Scope, receive: Receive, send: Send, own: SelfCall | None = None
    ) -> None:
        """One request. ``own`` is one of MLflow's to itself; refusing it also raises the refusal."""
        body = ReplayedBody(receive, limit=guard.body_bytes)
        request = AccessRequest(
            method=scope["method"],
            path=route_path(scope),
            headers=scope["headers"],
            query=scope["query_string"],
            body=body,
            peer=peer_of(scope),
        )
        verdict: Verdict | None = None
        trail = Trail(guard.audit, request.method, request.path, self_call=own is not None)
        try:
            verdict = await guard.pipeline.judge(request)
            if own is not None and not verdict.calls_gateway:
                verdict.passed, verdict.error = False, ForbiddenError(_GATEWAY_ONLY)
            replacement = await _replaced(request, verdict)
            count(guard.metrics, verdict, trail.judged())
            outgoing = trail.watch(send, verdict)
            if verdict.passed:
                # Without workspaces MLflow refuses the header that names one.
                told = None if guard.pipeline.rule.single else verdict.workspace
                inner = _rewritten(scope, body, replacement)
                calls = self._calls(guard, scope, verdict, told) if own is None else None
                with _serving(verdict, calls):
                    await self._pass(inner, body, outgoing, verdict=verdict, workspace=told, own=own)
            else:
                await refuse(verdict.error, outgoing, head=request.method == "HEAD")
                if own is not None and verdict.error is not None:
                    raise verdict.error
        finally:
            trail.finish(verdict)

    def _calls(
        self, guard: Guard, scope: Scope, verdict: Verdict, workspace: str | None
    ) -> GuardedSelfCalls | None:
        """What MLflow may ask of this server while it serves the request: of the gateway, for one to it."""
        if verdict.caller is None or not verdict.calls_gateway:
            return None
        return GuardedSelfCalls(
            partial(self._serve, guard), scope, caller=verdict.caller, workspace=workspace
        )

    async def _pass(
        self,
        scope: Scope,
        body: ReplayedBody,
        send: Send,
        *,
        verdict: Verdict,
        workspace: str | None,
        own: SelfCall | None,
    ) -> None:
        headers = forwarded_headers(
            scope["headers"],
            workspace=workspace,
            keep_authorization=verdict.provider_keeps_authorization,
            gateway=verdict.calls_gateway,
            credential=verdict.caller.credential if verdict.caller else None,
            skips_guardrails=own is not None and own.skips_guardrails,
        )
        user = verdict.caller.user if verdict.caller else None
        app = self._app if verdict.narrowing is None else verdict.narrowing.around(self._app)
        try:
            await app({**scope, "headers": headers, "state": _state(scope, user)}, body, send)
        except RequestError as error:
            if verdict.narrowing is None:
                raise
            # An answer that is held back has not begun.
            await refuse(error, send)


@contextmanager
def _serving(verdict: Verdict, calls: GuardedSelfCalls | None) -> Iterator[None]:
    """What MLflow's hooks find out about the request while it is served."""
    visible = visible_workspaces.set(verdict.visible)
    current = current_user.set(verdict.caller.user if verdict.caller else None)
    own = self_calls.set(calls)
    try:
        yield
    finally:
        visible_workspaces.reset(visible)
        current_user.reset(current)
        self_calls.reset(own)


async def _replaced(request: AccessRequest, verdict: Verdict) -> Replacement | None:
    """The request that MLflow gets instead: for less, or with the caller in it where the route wants that.

    One that cannot have the caller in it is refused.
    """
    if not verdict.passed or verdict.route is None or verdict.caller is None:
        return None
    if verdict.narrowing is not None and verdict.narrowing.request is not None:
        return verdict.narrowing.request
    try:
        return await stamped(request, verdict.route, user=verdict.caller.user)
    except RequestError as error:
        verdict.passed, verdict.error = False, error
        return None


def _rewritten(scope: Scope, body: ReplayedBody, replacement: Replacement | None) -> Scope:
    if replacement is None:
        return scope
    body.replace(replacement.content)
    query = scope["query_string"] if replacement.query is None else replacement.query
    return {**scope, "query_string": query, "headers": replacement.headers(scope["headers"])}


def _state(scope: Scope, user: UserInfo | None) -> dict[str, Any]:
    """``request.state``, where MLflow's native routes find the user: for budgets, creators, traces."""
    state: dict[str, Any] = scope.get("state", {})
    return {**state, "username": user.username, "user_id": user.uid or user.username} if user else state
