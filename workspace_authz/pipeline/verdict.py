"""What the pipeline concludes for one request, and the trail of how it got there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from workspace_authz.catalog.model import Route
from workspace_authz.effects.effects import Narrowing
from workspace_authz.errors import RequestError
from workspace_authz.types import Attributes, Caller, Decision

SHOWN_CHECKS: Final = 50
"""In one record: a list may take a question for each of its objects."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question that was asked and its answer."""

    attributes: Attributes
    decision: Decision
    looked_up: bool = False
    """The question holds a name that the caller did not send."""


@dataclass(slots=True)
class Verdict:
    """Filled step by step; it passes only when the pipeline has set :attr:`passed` at its end.

    The effects for the door: :attr:`workspace` (the one value that MLflow may see), :attr:`visible` (the
    workspaces that a listing may show), :attr:`narrowing` (of another list) and
    :attr:`provider_keeps_authorization`.
    """

    route: Route | None = None
    public: bool = False
    caller: Caller | None = None
    provider_keeps_authorization: bool = False
    workspace: str | None = None
    checks: list[Check] = field(default_factory=list)
    visible: frozenset[str] | None = None
    narrowing: Narrowing | None = None
    passed: bool = False
    error: RequestError | None = None

    @property
    def told(self) -> list[Check]:
        """The checks that the caller may see: with a refusal, none with a name that was looked up.

        Otherwise an object that exists could be told from one that does not.
        """
        return [check for check in self.checks if self.passed or not check.looked_up]

    @property
    def calls_gateway(self) -> bool:
        """Whether the route calls an endpoint of MLflow's AI gateway, or lists those that can be called."""
        return self.route is not None and self.route.path.startswith("/gateway/")

    def record(self, checks: Iterable[Check] | None = None) -> dict[str, Any]:
        """The verdict as the audit trail shows it, or with other ``checks``: no token, no body."""
        shown = list(self.checks if checks is None else checks)
        return {
            "user": self.caller.user.username if self.caller else None,
            "workspace": self.workspace,
            "route": self.route.path if self.route else None,
            "operation": self.route.operation if self.route else None,
            "checks": [_check(check) for check in shown[:SHOWN_CHECKS]],
            **({"checks_left_out": len(shown) - SHOWN_CHECKS} if len(shown) > SHOWN_CHECKS else {}),
            **({"narrowed": self.narrowing.record()} if self.narrowing else {}),
            "decision": self.conclusion,
            "reason": self.reason,
        }

    @property
    def conclusion(self) -> str:
        """``allow``, ``deny``, or ``error`` when no decision could be had."""
        return "allow" if self.passed else "error" if self.unanswered else "deny"

    @property
    def unanswered(self) -> bool:
        """True when no decision could be had."""
        return self.error is None or self.error.status >= 500

    @property
    def reason(self) -> str:
        """Why, in one sentence."""
        if self.error is not None:
            return self.error.message
        return "public" if self.public else ""


def _check(check: Check) -> dict[str, str]:
    asked = check.attributes
    record = {
        "verb": str(asked.verb),
        "resource": asked.qualified_resource,
        "namespace": asked.namespace,
        "decision": str(check.decision.outcome),
        "source": str(check.decision.source),
    }
    return {**record, "name": asked.name} if asked.name else record
