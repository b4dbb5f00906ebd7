"""The explain door: a request is judged, each step is shown, and MLflow is not called.

The real API server is asked. The verdict is the one that the ASGI door would act on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from workspace_authz.catalog.expand import describe
from workspace_authz.catalog.model import Route
from workspace_authz.mlflow_adapter.reading.request import AccessRequest
from workspace_authz.pipeline.pipeline import Pipeline
from workspace_authz.pipeline.verdict import Pass, Verdict, checks_for_caller, record


@dataclass(frozen=True, slots=True)
class Explanation:
    """What each step of the pipeline came to."""

    method: str
    path: str
    verdict: Verdict

    @property
    def status(self) -> int:
        """The HTTP status of the refusal, or 200 when MLflow would be asked."""
        return self.verdict.error.status if self.verdict.error else 200

    def document(self) -> dict[str, Any]:
        """As JSON: what the audit record holds, the rule that was applied, and the effects."""
        effects = self.verdict.effects if isinstance(self.verdict, Pass) else None
        visible = effects.visible if effects is not None else None
        return {
            "method": self.method,
            "path": self.path,
            **record(self.verdict, checks_for_caller(self.verdict)),
            "rule": rule_of(self.verdict.findings.route, self.method),
            "effects": sorted(effects.kinds) if effects is not None else [],
            "visible": sorted(visible) if visible is not None else None,
            "status": self.status,
        }


async def explain(pipeline: Pipeline, request: AccessRequest) -> Explanation:
    """Judge ``request`` without acting on it."""
    verdict = await pipeline.judge(replace(request, dry=True))
    return Explanation(method=request.method, path=request.path, verdict=verdict)


def rule_of(route: Route | None, method: str) -> list[str]:
    """The rule of a route in words, a line for each requirement."""
    return ["no rule covers this request"] if route is None else describe(route.policy, method).split(" + ")


def lines(document: Mapping[str, Any]) -> list[str]:
    """An explanation's document, as text for a terminal."""
    text = [
        f"request    {document['method']} {document['path']}",
        f"route      {document['route'] or '-'} ({document['operation'] or 'unknown'})",
        *(f"rule       {rule}" for rule in document["rule"]),
        f"user       {document['user'] or '-'}",
        f"workspace  {document['workspace'] or '-'}",
    ]
    for check in document["checks"]:
        name = f" named {check['name']}" if "name" in check else ""
        text.append(
            f"check      {check['verb']} {check['resource']}{name} in {check['namespace']}: "
            f"{check['decision']} ({check['source']})"
        )
    if "narrowed" in document:
        kept = document["narrowed"]
        names = ", ".join(kept["names"]) or "nothing"
        text.append(f"narrowed   {kept['resource']} to {names} ({kept['count']} in all), in the {kept['in']}")
    if document.get("effects"):
        text.append(f"effects    {', '.join(document['effects'])}")
    if document["visible"] is not None:
        text.append(f"visible    {', '.join(document['visible']) or 'no workspace'}")
    text.append(f"verdict    {document['decision']} ({document['status']})")
    if document["reason"]:
        text.append(f"reason     {document['reason']}")
    return text
