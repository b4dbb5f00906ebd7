"""What counts against a budget was spent in its own workspace.

MLflow (``gateway.budget.calculate_existing_cost_for_windows``, 3.17.2) adds up what a user or an endpoint
spent by all traces of the server that say so: the sum tells a workspace of another one's work, and a trace
in one workspace uses up the budget of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlflow.gateway import budget
from mlflow.gateway.budget import calculate_existing_cost_for_windows
from mlflow.utils.workspace_context import get_request_workspace


def keep_spending_apart() -> None:
    """Let MLflow add up each budget in the workspace of the request, which is that of the budget.

    It looks at budgets of no other: they are read anew for each request (``settings``).
    """
    budget.calculate_existing_cost_for_windows = spent_in_workspace


def spent_in_workspace(store: Any, windows: Sequence[Any]) -> dict[str, float]:
    """What was spent in each of ``windows``, by the id of its budget."""
    spent: dict[str, float] = calculate_existing_cost_for_windows(_Spending(store), windows)
    return spent


@dataclass(frozen=True, slots=True)
class _Spending:
    """As much of MLflow's store as the sums need."""

    store: Any

    def sum_gateway_trace_cost(self, *, workspace: str | None = None, **what: Any) -> float:
        """See MLflow's store; in the request's workspace, on a server that has workspaces."""
        there = get_request_workspace() or workspace
        spent: float = self.store.sum_gateway_trace_cost(workspace=there, **what)
        return spent
