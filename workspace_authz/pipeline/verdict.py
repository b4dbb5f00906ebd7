"""What the pipeline concludes for one request: it passes, with effects, or it is refused."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from workspace_authz.catalog.model import Public, Route
from workspace_authz.effects.effects import EffectKind, Effects
from workspace_authz.errors import RequestError, UnappliedEffectError
from workspace_authz.grants.commands import grant_object_line
from workspace_authz.grants.objects import ObjectGrant
from workspace_authz.grants.subjects import user_subject
from workspace_authz.types import Attributes, Caller, Decision, Outcome

SHOWN_CHECKS: Final = 50
"""In one record: a list may take a question for each of its objects."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question that was asked and its answer."""

    attributes: Attributes
    decision: Decision
    looked_up: bool = False
    """The question holds a name that the caller did not send."""

    @property
    def allowed(self) -> bool:
        """Whether Kubernetes said yes."""
        return self.decision.outcome is Outcome.ALLOW


@dataclass(frozen=True, slots=True)
class Findings:
    """How the pipeline came to its conclusion."""

    route: Route | None = None
    """None where no rule covers the request."""
    caller: Caller | None = None
    """None where nobody was identified."""
    workspace: str | None = None
    checks: tuple[Check, ...] = ()
    change: str = ""
    """What the request was to change in Kubernetes, in words."""
    created: ObjectGrant | None = None
    """What the request makes, if it names it, with every right on it: its maker does not get them by that."""


@dataclass(frozen=True, slots=True)
class Pass:
    """The request goes to MLflow, once a door has applied the effects."""

    findings: Findings
    effects: Effects

    @property
    def error(self) -> None:
        """No refusal."""
        return

    @property
    def passed(self) -> bool:
        """See :class:`Refuse`."""
        return True


@dataclass(frozen=True, slots=True)
class Refuse:
    """The request does not reach MLflow."""

    findings: Findings
    error: RequestError

    @property
    def passed(self) -> bool:
        """Whether the request goes to MLflow."""
        return False


Verdict = Pass | Refuse


def demand_applicable(
    verdict: Verdict,
    applies: Collection[EffectKind],
    *,
    remedy: str = "Send it to the guarded MLflow server itself.",
) -> Verdict:
    """``verdict`` for a door that applies these effects: a refusal where it would have to apply another.

    ``remedy`` ends the refusal: what the caller can do.
    """
    if isinstance(verdict, Refuse):
        return verdict
    lacking = sorted(kind for kind in verdict.effects.kinds if kind not in applies)
    if not lacking:
        return verdict
    error = UnappliedEffectError(
        f"This request is allowed only with changes that cannot be made here: {', '.join(lacking)}. {remedy}"
    )
    return Refuse(verdict.findings, error)


def conclusion(verdict: Verdict) -> str:
    """``allow``, ``deny``, or ``error`` when no decision could be had."""
    if isinstance(verdict, Pass):
        return "allow"
    return "error" if verdict.error.status >= 500 else "deny"


def checks_for_caller(verdict: Verdict) -> list[Check]:
    """The checks that the caller may see: with a refusal, none with a name that was looked up.

    Otherwise an object that exists could be told from one that does not.
    """
    return [check for check in verdict.findings.checks if verdict.passed or not check.looked_up]


def record(verdict: Verdict, checks: Iterable[Check] | None = None) -> dict[str, Any]:
    """The verdict as the audit trail shows it, or with other ``checks``. It holds no token and no body."""
    findings = verdict.findings
    shown = list(findings.checks if checks is None else checks)
    narrowing = verdict.effects.narrowing if isinstance(verdict, Pass) else None
    return {
        "user": findings.caller.user.username if findings.caller else None,
        "workspace": findings.workspace,
        "route": findings.route.path if findings.route else None,
        "operation": findings.route.operation if findings.route else None,
        "checks": [_check(check) for check in shown[:SHOWN_CHECKS]],
        **({"checks_left_out": len(shown) - SHOWN_CHECKS} if len(shown) > SHOWN_CHECKS else {}),
        **({"narrowed": narrowing.record()} if narrowing else {}),
        **({"change": findings.change} if findings.change else {}),
        **({"created": _created(verdict)} if findings.created is not None and verdict.passed else {}),
        "decision": conclusion(verdict),
        "reason": reason(verdict),
    }


def reason(verdict: Verdict) -> str:
    """Why, in one sentence; empty for a request that rights allow."""
    if isinstance(verdict, Refuse):
        return verdict.error.message
    route = verdict.findings.route
    return "public" if route is not None and isinstance(route.policy, Public) else ""


def _created(verdict: Verdict) -> dict[str, str]:
    """What is made, and the command that would give its maker a right of their own on it."""
    findings = verdict.findings
    made, caller = findings.created, findings.caller
    if made is None or caller is None or findings.workspace is None:
        return {}
    grant = grant_object_line(user_subject(caller.user.username), findings.workspace, grant=made)
    return {"resource": str(made.resource), "name": made.name, "grant": grant}


def _check(check: Check) -> dict[str, str]:
    asked = check.attributes
    shown = {
        "verb": str(asked.verb),
        "resource": asked.qualified_resource,
        "namespace": asked.namespace,
        "decision": str(check.decision.outcome),
        "source": str(check.decision.source),
    }
    return {**shown, "name": asked.name} if asked.name else shown
