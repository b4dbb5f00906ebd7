"""A workspace limits its own costs, nobody else's."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator

import pytest

from tests.harness.http import Answer
from tests.isolation.test_links import studio_in
from tests.isolation.world import World
from tests.scenarios.people import TEAM_A, TEAM_B

BUDGETS = "/api/3.0/mlflow/gateway/budgets"


@pytest.fixture(autouse=True)
def none_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """The servers are shared: what a budget has used up would be refused to other tests."""
    yield
    for world in (
        request.getfixturevalue(name) for name in request.fixturenames if name in ("stock", "guarded")
    ):
        for workspace in (TEAM_A, TEAM_B):
            made = world.ask("GET", f"{BUDGETS}/list", workspace=workspace).json.get("budget_policies", ())
            for policy in made:
                document = {"budget_policy_id": policy["budget_policy_id"]}
                world.make(f"{BUDGETS}/delete", document, method="DELETE", workspace=workspace)


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


def _spent(world: World, policy: str) -> float:
    """What MLflow has counted against a budget of team-a."""
    windows = world.make(f"{BUDGETS}/windows", None, method="GET")["windows"]
    return float(next(window["current_spend"] for window in windows if window["budget_policy_id"] == policy))


def _spend(world: World, endpoint: str, *, workspace: str) -> None:
    """A trace of a call of ``endpoint`` that cost three dollars, in ``workspace``."""
    studio = studio_in(world, workspace)
    cost = {"input_cost": 1.0, "output_cost": 2.0, "total_cost": 3.0}
    span = {
        "traceId": secrets.token_hex(16),
        "spanId": secrets.token_hex(8),
        "name": "call",
        "startTimeUnixNano": str(time.time_ns()),
        "endTimeUnixNano": str(time.time_ns()),
        "attributes": [{"key": "mlflow.llm.cost", "value": {"stringValue": json.dumps(cost)}}],
    }
    world.ask(
        "POST",
        "/v1/traces",
        workspace=workspace,
        headers={"Content-Type": "application/json", "x-mlflow-experiment-id": studio.experiment},
        body=json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode(),
    )
    info = {
        "trace_id": f"tr-{span['traceId']}",
        "trace_location": {
            "type": "MLFLOW_EXPERIMENT",
            "mlflow_experiment": {"experiment_id": studio.experiment},
        },
        "request_time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "state": "OK",
        "trace_metadata": {
            "mlflow.gateway.endpointId": endpoint,
            "mlflow.auth.username": "somebody",
            "mlflow.trace.cost": json.dumps(cost),
        },
    }
    world.make("/api/3.0/mlflow/traces", {"trace": {"trace_info": info}}, workspace=workspace)


def _limited(world: World, scope: str, value: str) -> str:
    """A new budget of team-a."""
    made = create(world, target_scope=scope, target_value=value)
    assert made.status == 200, made.text
    return str(made.json["budget_policy"]["budget_policy_id"])


def test_in_stock_mlflow_another_workspace_uses_up_a_budget(stock: World) -> None:
    endpoint = studio_in(stock, TEAM_A).endpoint
    _spend(stock, endpoint, workspace=TEAM_B)
    # It counts when the process first hears of the budget, and every ten minutes.
    assert _spent(stock, _limited(stock, "ENDPOINT", endpoint)) == 3.0


@pytest.mark.parametrize("scope", ["ENDPOINT", "USER"])
def test_behind_the_guard_only_what_was_spent_in_its_workspace_counts(guarded: World, scope: str) -> None:
    endpoint = studio_in(guarded, TEAM_A).endpoint
    # Carol is nobody in team-a: its admin would learn what she does in team-b.
    policy = _limited(guarded, scope, endpoint if scope == "ENDPOINT" else "carol")
    _spend(guarded, endpoint, workspace=TEAM_B)
    assert _spent(guarded, policy) == 0.0
    own = _limited(guarded, scope, endpoint if scope == "ENDPOINT" else "alice")
    before = _spent(guarded, own)
    _spend(guarded, endpoint, workspace=TEAM_A)
    assert _spent(guarded, own) == before + 3.0
