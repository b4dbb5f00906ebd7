"""A workspace limits its own costs, nobody else's."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text

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


def _spend(world: World, endpoint: str, *, workspace: str, user: str = "alice") -> str:
    """The id of a trace of a call of ``endpoint`` that cost three dollars, in ``workspace``.

    The marks are put into the database, as by the gateway: it takes them from no client.
    """
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
            "mlflow.trace.cost": json.dumps(cost),
        },
    }
    world.make("/api/3.0/mlflow/traces", {"trace": {"trace_info": info}}, workspace=workspace)
    trace = f"tr-{span['traceId']}"
    _mark(world, trace, endpoint=endpoint, user=user)
    return trace


def _mark(world: World, trace: str, *, endpoint: str, user: str) -> None:
    engine = create_engine(world.server.database)
    insert = text("INSERT INTO trace_request_metadata (request_id, key, value) VALUES (:trace, :key, :value)")
    with engine.begin() as connection:
        for key, value in (("mlflow.gateway.endpointId", endpoint), ("mlflow.auth.username", user)):
            connection.execute(insert, {"trace": trace, "key": key, "value": value})
    engine.dispose()


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
    _spend(guarded, endpoint, workspace=TEAM_B, user="carol")
    assert _spent(guarded, policy) == 0.0
    own = _limited(guarded, scope, endpoint if scope == "ENDPOINT" else "alice")
    before = _spent(guarded, own)
    _spend(guarded, endpoint, workspace=TEAM_A)
    assert _spent(guarded, own) == before + 3.0


V2, V3 = "/api/2.0/mlflow/traces", "/api/3.0/mlflow/traces"
COST = json.dumps({"input_cost": 1.0, "output_cost": 4.0, "total_cost": 5.0})


def _started(world: World, *, trace_id: str = "", time_sent: str = "", **metadata: str) -> Answer:
    """The answer to a trace that a client starts. In keys, ``__`` is a dot."""
    location = {"experiment_id": studio_in(world, TEAM_A).experiment}
    info = {
        "trace_id": trace_id or f"tr-{secrets.token_hex(16)}",
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": location},
        "request_time": time_sent or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "state": "OK",
        "trace_metadata": {key.replace("__", "."): value for key, value in metadata.items()},
    }
    return world.ask("POST", V3, json_body={"trace": {"trace_info": info}})


def test_in_stock_mlflow_a_client_forges_what_was_spent(stock: World) -> None:
    endpoint = studio_in(stock, TEAM_A).endpoint
    before = _spent(stock, _limited(stock, "ENDPOINT", endpoint))
    assert _started(stock, mlflow__gateway__endpointId=endpoint, mlflow__trace__cost=COST).status == 200
    assert _spent(stock, _limited(stock, "ENDPOINT", endpoint)) == before + 5.0


def test_behind_the_guard_only_the_gateway_marks_a_trace(guarded: World) -> None:
    """The client's own cost is kept: it counts for no budget."""
    endpoint = studio_in(guarded, TEAM_A).endpoint
    before = _spent(guarded, _limited(guarded, "ENDPOINT", endpoint))
    for key in ("mlflow__gateway__endpointId", "MLflow__Gateway__endpointId"):
        sent = {key: endpoint, "mlflow__auth__username": "alice", "mlflow__trace__cost": COST, "kept": "1"}
        answer = _started(guarded, **sent)
        assert answer.status == 200, answer.text
        kept = answer.json["trace"]["trace_info"]["trace_metadata"]
        assert not [found for found in kept if found.lower().startswith(("mlflow.gateway", "mlflow.auth"))]
        assert kept["kept"] == "1"
        assert json.loads(kept["mlflow.trace.cost"]) == json.loads(COST)
    assert _spent(guarded, _limited(guarded, "ENDPOINT", endpoint)) == before


def test_behind_the_guard_no_client_changes_what_the_gateway_recorded(guarded: World) -> None:
    endpoint = studio_in(guarded, TEAM_A).endpoint
    trace = _spend(guarded, endpoint, workspace=TEAM_A)
    before = _spent(guarded, _limited(guarded, "ENDPOINT", endpoint))
    changed = [
        _started(guarded, trace_id=trace, mlflow__trace__cost=COST),
        _started(guarded, trace_id=trace, time_sent="2020-01-01T00:00:00Z"),
        guarded.ask(
            "PATCH",
            f"{V2}/{trace}",
            json_body={
                "timestamp_ms": 1,
                "status": "OK",
                "request_metadata": [{"key": "mlflow.trace.cost", "value": COST}],
            },
        ),
        _exported(guarded, trace.removeprefix("tr-")),
    ]
    assert [(answer.status, "AI gateway" in answer.text) for answer in changed] == [(403, True)] * 4
    assert _spent(guarded, _limited(guarded, "ENDPOINT", endpoint)) == before
    # What is no bookkeeping is the client's, as before.
    tag = guarded.ask("PATCH", f"{V3}/{trace}/tags", json_body={"key": "seen", "value": "yes"})
    assert tag.status == 200, tag.text


@pytest.mark.parametrize("key", ["mlflow.gateway.endpointId", "Mlflow.Gateway.x", "mlflow.auth.username"])
def test_behind_the_guard_no_client_sets_the_gateways_tags(guarded: World, key: str) -> None:
    trace = _started(guarded).json["trace"]["trace_info"]["trace_id"]
    answers = [
        guarded.ask("PATCH", f"{base}/{trace}/tags", json_body={"key": key, "value": "x"})
        for base in (V2, V3)
    ]
    answers.append(_exported(guarded, secrets.token_hex(16), **{f"mlflow.traceTag.{key}": "x"}))
    assert [(answer.status, "AI gateway" in answer.text) for answer in answers] == [(403, True)] * 3


def _exported(world: World, trace_id: str, **attributes: str) -> Answer:
    """A span that a client sends, with a cost of its own."""
    sent = {"mlflow.llm.cost": COST, **attributes}
    span = {
        "traceId": trace_id,
        "spanId": secrets.token_hex(8),
        "name": "call",
        "startTimeUnixNano": "1",
        "endTimeUnixNano": "2",
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in sent.items()],
    }
    return world.ask(
        "POST",
        "/v1/traces",
        headers={
            "Content-Type": "application/json",
            "x-mlflow-experiment-id": studio_in(world, TEAM_A).experiment,
        },
        body=json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode(),
    )
