"""What the metrics hear of a verdict: no more than a word out of a fixed set each."""

from __future__ import annotations

from workspace_authz.pipeline.verdict import Verdict
from workspace_authz.telemetry.metrics import Metrics


def count(metrics: Metrics, verdict: Verdict, seconds: float) -> None:
    """One request was judged within ``seconds``."""
    code = verdict.error.code if verdict.error is not None else ""
    metrics.judged(verdict.conclusion, code=code, seconds=seconds)
    for check in verdict.checks:
        decision = check.decision
        metrics.decided(check.attributes.qualified_resource, outcome=decision.outcome, source=decision.source)
    if verdict.passed and verdict.narrowing is not None:
        metrics.narrowed(verdict.narrowing.where)
