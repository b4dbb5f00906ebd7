"""A gateway budget counts the costs of its own workspace only (MLflow 3.16.1 and 3.17.2).

``mlflow.gateway.budget.calculate_existing_cost_for_windows`` sums up what a user or an endpoint has cost over
the traces of all workspaces. Without this patch the sum tells a workspace about another one's work, and
traces in one workspace use up the budget of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlflow.utils import workspace_context

from workspace_authz.mlflow_adapter.compat import optional_module, replace_attribute

budget = optional_module("mlflow.gateway.budget")
_of_all_workspaces: Any = getattr(budget, "calculate_existing_cost_for_windows", None)
"""MLflow's own function."""


def apply() -> None:
    """Let MLflow sum up each budget in the workspace of the request.

    That is the workspace of the budget: budgets are read anew for each request, because our settings switch
    MLflow's cache of them off.
    """
    replace_attribute(budget, "calculate_existing_cost_for_windows", by=workspace_cost_for_windows)


def workspace_cost_for_windows(store: Any, windows: Sequence[Any]) -> dict[str, float]:
    """The costs in the request's workspace within each of ``windows``, by the id of its budget."""
    costs: dict[str, float] = _of_all_workspaces(_WorkspaceCosts(store), windows)
    return costs


@dataclass(frozen=True, slots=True)
class _WorkspaceCosts:
    """The one method of MLflow's store that the sums need."""

    store: Any

    def sum_gateway_trace_cost(self, *, workspace: str | None = None, **terms: Any) -> float:
        """As MLflow's store, but in the request's workspace on a server that has workspaces."""
        cost: float = self.store.sum_gateway_trace_cost(
            workspace=workspace_context.get_request_workspace() or workspace, **terms
        )
        return cost
