"""One audit record for one request, whatever becomes of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from workspace_authz.aio.asgi import Message, Send
from workspace_authz.history.events import MOST_CHECKS, AskedRight, Event
from workspace_authz.history.history import History
from workspace_authz.pipeline.verdict import Check, Pass, Verdict, conclusion, record
from workspace_authz.telemetry.audit import AuditSink
from workspace_authz.telemetry.metrics import Metrics

_UNJUDGED: Final[Mapping[str, Any]] = {
    "user": None,
    "workspace": None,
    "route": None,
    "operation": None,
    "checks": [],
    "decision": "error",
    "reason": "",
}


class AuditedRequest:
    """Writes the record when the response starts, or at the end if none did. Its clock runs from now on.

    ``self_call``: MLflow asks this of itself, in the name of the caller whom it serves. ``history`` is told
    as well.
    """

    def __init__(
        self,
        audit: AuditSink,
        *,
        method: str,
        path: str,
        self_call: bool = False,
        history: History | None = None,
    ) -> None:
        self._audit = audit
        self._history = history
        self._method = method
        self._path = path
        self._self_call = self_call
        self._verdict: Verdict | None = None
        self._judged = self._started = time.perf_counter()
        self._written = False

    def judged(self, verdict: Verdict) -> float:
        """Note the verdict and stop the clock of the authorization. Returns its seconds."""
        self._verdict = verdict
        self._judged = time.perf_counter()
        return self._judged - self._started

    def watch(self, send: Send) -> Send:
        """``send``, noting the status of the response."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._write(message["status"])
            await send(message)

        return sending

    def finish(self) -> None:
        """Write the record of a request that never got a response."""
        self._write(None)

    def _write(self, status: int | None) -> None:
        if self._written:
            return
        self._written = True
        verdict = self._verdict
        if self._history is not None and verdict is not None:
            note(self._history, verdict, method=self._method, status=status or 0)
        known = record(verdict) if verdict is not None else _UNJUDGED
        self._audit.write(
            {
                "method": self._method,
                "path": self._path[:512] if known["route"] is None else None,
                **known,
                **({"self_call": True} if self._self_call else {}),
                "status": status,
                "duration_ms": round((self._judged - self._started) * 1000, 3),
            }
        )


def note(history: History, verdict: Verdict, *, method: str, status: int) -> None:
    """Tell ``history`` of a decision about somebody in a namespace that exists; of nothing else."""
    findings, error = verdict.findings, verdict.error
    caller, workspace = findings.caller, findings.workspace
    uid = history.uid_of(workspace) if caller is not None and workspace is not None else None
    if caller is None or uid is None:
        return
    history.note(
        Event(
            namespace_uid=uid,
            username=caller.user.username,
            method=method,
            operation=findings.route.operation if findings.route is not None else "",
            decision=conclusion(verdict),
            status=status,
            code=error.code if error is not None else "",
            asked=tuple(_asked(check) for check in findings.checks[:MOST_CHECKS]),
            left_out=max(0, len(findings.checks) - MOST_CHECKS),
            changed=findings.change,
        )
    )


def _asked(check: Check) -> AskedRight:
    asked = check.attributes
    return AskedRight(
        str(asked.verb),
        asked.qualified_resource,
        asked.name,
        str(check.decision.outcome),
        looked_up=check.looked_up,
    )


def count_verdict(metrics: Metrics, verdict: Verdict, *, seconds: float) -> None:
    """One request was judged within ``seconds``. Labels are words out of a fixed set each."""
    error = verdict.error
    metrics.judged(conclusion(verdict), code=error.code if error is not None else "", seconds=seconds)
    for check in verdict.findings.checks:
        decision = check.decision
        metrics.decided(check.attributes.qualified_resource, outcome=decision.outcome, source=decision.source)
    if isinstance(verdict, Pass) and verdict.effects.narrowing is not None:
        metrics.narrowed(verdict.effects.narrowing.where)
