"""A gateway budget counts the costs of its own workspace only (MLflow 3.16.1, 3.17.2 and 3.18.0).

``mlflow.gateway.budget.calculate_existing_cost_for_windows`` sums up what a user or an endpoint has cost over
the traces of all workspaces. Without this patch the sum tells a workspace about another one's work, and
traces in one workspace use up the budget of another. Since 3.18 MLflow also sums up the budgets of all
workspaces whenever it reads budgets; here each call sums up those of its own.
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

    Budgets are read anew for each request, because our settings switch MLflow's cache of them off.
    """
    replace_attribute(budget, "calculate_existing_cost_for_windows", by=workspace_cost_for_windows)


def workspace_cost_for_windows(store: Any, windows: Sequence[Any]) -> dict[str, float]:
    """The costs in the request's workspace within its own budgets among ``windows``, by the budget's id."""
    workspace = workspace_context.get_request_workspace()
    own = [window for window in windows if workspace is None or window.policy.workspace == workspace]
    costs: dict[str, float] = _of_all_workspaces(_WorkspaceCosts(store), own)
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
