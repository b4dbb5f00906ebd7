"""What a gateway budget adds up is what was spent in the workspace of the request."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow.entities.gateway_budget_policy import BudgetTargetScope
from mlflow.gateway import budget
from mlflow.gateway.budget import calculate_existing_cost_for_windows as stock
from mlflow.utils.workspace_context import clear_server_request_workspace, set_server_request_workspace

from workspace_authz.mlflow_adapter.patches import budgets

SPENT = {"team-a": 3.0, "team-b": 4.0, None: 7.0}


class Store:
    """A store whose traces are of two workspaces."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def sum_gateway_trace_cost(self, *, workspace: str | None = None, **terms: Any) -> float:
        self.asked.append(terms)
        return SPENT[workspace]


@pytest.fixture(params=["team-a", None])
def workspace(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The workspace of the request, if the server has workspaces."""
    set_server_request_workspace(request.param)
    yield request.param
    clear_server_request_workspace()


def window(scope: BudgetTargetScope) -> Any:
    policy = SimpleNamespace(budget_policy_id="b", target_scope=scope, target_value="x", workspace="team-a")
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    return SimpleNamespace(policy=policy, window_start=start, window_end=end)


@pytest.mark.parametrize(
    ("scope", "term"), [(BudgetTargetScope.USER, "username"), (BudgetTargetScope.ENDPOINT, "endpoint_id")]
)
def test_costs_of_other_workspaces_do_not_count(
    workspace: str | None, scope: BudgetTargetScope, term: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store()
    assert stock(store, [window(scope)]) == {"b": 7.0}  # what goes wrong without the patch

    monkeypatch.setattr(budget, "calculate_existing_cost_for_windows", stock)
    budgets.apply()

    assert budget.calculate_existing_cost_for_windows(store, [window(scope)]) == {"b": SPENT[workspace]}
    assert store.asked[0] == store.asked[1]
    assert store.asked[1][term] == "x"


def test_a_budget_of_a_workspace_without_a_request_counts_in_its_own() -> None:
    found = budgets.workspace_cost_for_windows(Store(), [window(BudgetTargetScope.WORKSPACE)])
    assert found == {"b": 3.0}
