"""A workspace limits its own spending, nobody else's."""

from __future__ import annotations

import pytest

from tests.harness.http import Answer
from tests.isolation.world import World
from tests.scenarios.people import TEAM_A, TEAM_B

BUDGETS = "/api/3.0/mlflow/gateway/budgets"


def create(world: World, **scope: object) -> Answer:
    document = {
        "budget_unit": "USD",
        "budget_amount": 1.0,
        "duration": {"unit": "DAYS", "value": 1},
        "budget_action": "REJECT",
        **scope,
    }
    return world.ask("POST", f"{BUDGETS}/create", json_body=document)


def test_stock_mlflow_lets_a_workspace_limit_all_others(stock: World) -> None:
    made = create(stock, target_scope="GLOBAL").json["budget_policy"]["budget_policy_id"]
    seen = stock.ask("GET", f"{BUDGETS}/windows", workspace=TEAM_B)
    assert made in seen.text


@pytest.mark.parametrize(
    "scope", ["GLOBAL", 1, 1.0, "1", "global", None, ["GLOBAL"], "TARGET_SCOPE_UNSPECIFIED"]
)
@pytest.mark.parametrize("field", ["target_scope", "targetScope"])
def test_a_global_budget_is_refused_when_made_and_when_changed(
    guarded: World, field: str, scope: object
) -> None:
    for answer in (
        create(guarded, **{field: scope}),
        guarded.ask("POST", f"{BUDGETS}/update", json_body={"budget_policy_id": "x", field: scope}),
    ):
        assert answer.status == 403
        assert "all workspaces" in answer.json["message"]


def test_both_spellings_at_once_do_not_hide_it(guarded: World) -> None:
    assert create(guarded, target_scope="WORKSPACE", targetScope="GLOBAL").status == 403


def test_a_budget_of_ones_own_workspace_is_fine(guarded: World) -> None:
    made = create(guarded, target_scope="WORKSPACE")
    assert made.status == 200, made.text
    policy = made.json["budget_policy"]["budget_policy_id"]
    guarded.make(f"{BUDGETS}/update", {"budget_policy_id": policy, "budget_amount": 2.0})
    assert policy not in guarded.ask("GET", f"{BUDGETS}/windows", workspace=TEAM_B).text
    assert policy in guarded.ask("GET", f"{BUDGETS}/list", workspace=TEAM_A).text


def _remembered_after_anothers(world: World) -> bool:
    """Whether MLflow still knows a budget of team-b after team-a made one of its own."""
    document = {
        "budget_unit": "USD",
        "budget_amount": 1.0,
        "duration": {"unit": "DAYS", "value": 1},
        "budget_action": "REJECT",
        "target_scope": "WORKSPACE",
    }
    made = world.make(f"{BUDGETS}/create", document, workspace=TEAM_B)["budget_policy"]["budget_policy_id"]
    world.make(f"{BUDGETS}/create", document, workspace=TEAM_A)
    return made in world.ask("GET", f"{BUDGETS}/windows", workspace=TEAM_B).text


def test_stock_mlflow_forgets_the_budgets_of_whoever_did_not_ask_last(stock: World) -> None:
    """One process remembers those of one workspace, for ten minutes: calls elsewhere have no limit."""
    assert not _remembered_after_anothers(stock)


def test_behind_the_guard_each_workspace_keeps_its_own(guarded: World) -> None:
    assert _remembered_after_anothers(guarded)
