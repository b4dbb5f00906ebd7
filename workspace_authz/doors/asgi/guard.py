"""The door in front of MLflow's app: judge, then refuse, or apply the effects and hand on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, Protocol

from workspace_authz.aio.asgi import App, Receive, Scope, Send
from workspace_authz.aio.fair_share import FairShare
from workspace_authz.doors.asgi.answers import filtered_answer, replaced
from workspace_authz.doors.asgi.audit import AuditedRequest, count_verdict
from workspace_authz.doors.asgi.body import BoundedBody, Disconnection, GivenMessages, ReplayedBody
from workspace_authz.doors.asgi.protocol import (
    StartedAnswer,
    at_route,
    peer_of,
    raw_route_path,
    refuse,
    route_path,
)
from workspace_authz.doors.asgi.self_calls import GuardedSelfCalls
from workspace_authz.doors.asgi.threads import thread_share
from workspace_authz.doors.judge import Judge
from workspace_authz.effects.effects import EffectKind, Effects
from workspace_authz.effects.rewriting import without_body
from workspace_authz.errors import RequestError
from workspace_authz.history.history import History
from workspace_authz.mlflow_adapter.reading.request import AccessRequest, SelfRequest
from workspace_authz.mlflow_adapter.serving import SelfCalls, current_user, self_calls, visible_workspaces
from workspace_authz.pipeline.verdict import Pass, Verdict, demand_applicable
from workspace_authz.types import UserInfo

_UPLOADS: Final = frozenset({"UploadArtifact"})
EVERY_EFFECT: Final = frozenset(EffectKind)


class Guard(Judge, Protocol):
    """What the middleware needs of the running process."""

    @property
    def request_bytes(self) -> int:
        """The largest body that is handed on, except in an upload of an artifact."""

    @property
    def history(self) -> History | None:
        """Keeps what was decided; None where nothing is kept."""

    @property
    def share(self) -> FairShare:
        """Shares the threads of MLflow's handlers."""


class GuardMiddleware:
    """Puts every HTTP request before the pipeline. ``guard`` is asked for per request: it starts later.

    ``applies`` are the effects that this door applies. A request that needs another one is refused.
    """

    def __init__(
        self, app: App, *, guard: Callable[[], Guard], applies: Collection[EffectKind] = EVERY_EFFECT
    ) -> None:
        self._app = app
        self._guard = guard
        self._applies = applies

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
        self,
        guard: Guard,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        by_mlflow: SelfRequest | None = None,
    ) -> None:
        """One request. Refusing one of MLflow to itself raises the refusal, too."""
        body = ReplayedBody(receive, limit=guard.body_bytes)
        request = AccessRequest(
            method=scope["method"],
            path=route_path(scope),
            raw_path=raw_route_path(scope),
            headers=scope["headers"],
            query=scope["query_string"],
            body=body,
            peer=peer_of(scope),
            by_mlflow=by_mlflow,
        )
        audited = AuditedRequest(
            guard.audit,
            method=request.method,
            path=request.path,
            self_call=by_mlflow is not None,
            history=guard.history,
        )
        try:
            verdict = demand_applicable(await guard.pipeline.judge(request), self._applies)
            count_verdict(guard.metrics, verdict, seconds=audited.judged(verdict))
            outgoing = audited.watch(send)
            if isinstance(verdict, Pass):
                answer = StartedAnswer(outgoing)
                try:
                    url = verdict.effects.url
                    path = request.path if url is None else url.path
                    async with thread_share(guard.share, verdict, path=path):
                        await self._pass(guard, verdict, scope=scope, receive=body, send=answer)
                except RequestError as error:
                    if answer.started:
                        raise
                    await refuse(error, outgoing, head=request.method == "HEAD")
                return
            await refuse(verdict.error, outgoing, head=request.method == "HEAD")
            if by_mlflow is not None:
                raise verdict.error
        finally:
            audited.finish()

    async def _pass(self, guard: Guard, verdict: Pass, *, scope: Scope, receive: Receive, send: Send) -> None:
        effects = verdict.effects
        calls = self._self_calls(guard, verdict, scope=scope) if effects.self_calls else None
        limit = None if _uploads(verdict) else guard.request_bytes
        inner, messages = _applied(effects, scope, receive, limit=limit)
        keep = effects.narrowing.answer if effects.narrowing is not None else None
        with _serving(effects, calls):
            if keep is None:
                await self._app(inner, messages, send)
                return
            try:
                answer = await filtered_answer(self._app, inner, messages, keep=keep)
            except RequestError as error:
                # Nothing has been sent yet: the answer is held back.
                await refuse(error, send)
                return
            await answer.send(send)

    def _self_calls(self, guard: Guard, verdict: Pass, *, scope: Scope) -> SelfCalls | None:
        """What MLflow may ask of this server while it serves the request."""
        caller = verdict.findings.caller
        if caller is None:
            return None
        return GuardedSelfCalls(
            partial(self._serve, guard), scope, caller=caller, workspace=verdict.effects.headers.workspace
        )


def _uploads(verdict: Verdict) -> bool:
    """Whether the body is an artifact, which goes to a file and may have any size."""
    route = verdict.findings.route
    return route is not None and route.operation in _UPLOADS


def _applied(effects: Effects, scope: Scope, receive: Receive, *, limit: int | None) -> tuple[Scope, Receive]:
    """The request that MLflow gets. ``limit`` bounds a body that is handed on; None does not."""
    if effects.empty_body:
        scope = {**scope, "headers": without_body(scope["headers"])}
        receive = GivenMessages(b"", then=Disconnection(receive))
    elif effects.replacement is not None:
        scope, receive = replaced(effects.replacement, scope, receive)
    elif limit is not None:
        receive = BoundedBody(receive, limit=limit)
    if effects.url is not None:
        scope = at_route(scope, path=effects.url.path, raw_path=effects.url.raw_path)
    headers = effects.headers.applied(scope["headers"])
    return {**scope, "headers": headers, "state": _state(scope, effects.caller)}, receive


@contextmanager
def _serving(effects: Effects, calls: SelfCalls | None) -> Iterator[None]:
    """What MLflow's hooks find out about the request while it is served."""
    visible = visible_workspaces.set(effects.visible)
    current = current_user.set(effects.caller)
    own = self_calls.set(calls)
    try:
        yield
    finally:
        visible_workspaces.reset(visible)
        current_user.reset(current)
        self_calls.reset(own)


def _state(scope: Scope, user: UserInfo | None) -> dict[str, Any]:
    """``request.state``, where MLflow's native routes find the user: for budgets, creators, traces."""
    state: dict[str, Any] = scope.get("state", {})
    return {**state, "username": user.recorded_name, "user_id": user.recorded_uid} if user else state
