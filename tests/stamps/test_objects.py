"""Everything else that remembers who made or changed it."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest
from mlflow.genai.scorers import Guidelines

from tests.isolation.listener import listening
from tests.scenarios.waiting import until
from tests.stamps.conftest import API, API3, World, Writer

pytestmark = pytest.mark.xdist_group("stamps")

VICTIM = "carol"
GATEWAY = f"{API3}/gateway"


def a_new(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(4)}"


def people(made: dict[str, Any]) -> list[str | None]:
    """Who made and last changed it."""
    return [made.get("created_by"), made.get("last_updated_by")]


def test_an_issue_is_its_makers(world: World) -> None:
    for writer in world.everybody:
        document = {"experiment_id": world.experiment, "name": a_new("issue"), "description": "?"}
        for spoof in ({}, {"created_by": VICTIM}, {"createdBy": VICTIM}):
            issue = writer.do("POST", f"{API3}/issues", {**document, **spoof})["issue"]
            assert issue["created_by"] == writer.name


@pytest.mark.parametrize(
    "tags",
    [{}, {"tags": json.dumps({"mlflow.user": VICTIM, "n": 1.5})}, {"tags": ""}, {"tags": "null"}],
    ids=str,
)
def test_a_dataset_is_its_makers(world: World, tags: dict[str, str]) -> None:
    document = {"name": a_new("dataset"), "experiment_ids": [world.experiment], "created_by": VICTIM, **tags}
    dataset = world.trainer.do("POST", f"{API3}/datasets/create", document)["dataset"]
    assert people(dataset) == [world.trainer.name] * 2
    spoof = {"tags": json.dumps({"mlflow.user": VICTIM, "stage": "one"})}
    world.alice.do("PATCH", f"{API3}/datasets/{dataset['dataset_id']}/tags", spoof)
    again = world.alice.do("GET", f"{API3}/datasets/{dataset['dataset_id']}")["dataset"]
    found = json.loads(again["tags"])
    assert [found["mlflow.user"], found["stage"]] == ["alice", "one"]


def test_records_are_those_of_whoever_wrote_them(world: World) -> None:
    document = {"name": a_new("dataset"), "experiment_ids": [world.experiment]}
    dataset = world.alice.do("POST", f"{API3}/datasets/create", document)["dataset"]["dataset_id"]
    records = [
        {"inputs": {"n": 1}, "tags": {"mlflow.user": VICTIM}},
        {"inputs": {"n": 1e400, "large": 2**70}, "tags": None},
        {"inputs": {"n": 3}},
    ]
    body = {"records": json.dumps(records), "updatedBy": VICTIM}
    world.trainer.do("POST", f"{API3}/datasets/{dataset}/records", body)
    world.bob.do("POST", f"{API3}/datasets/{dataset}/records", {"records": json.dumps(records[:1])})
    found = json.loads(world.alice.do("GET", f"{API3}/datasets/{dataset}/records")["records"])
    by_input = {str(record["inputs"]["n"]): people(record) for record in found}
    trainer, bob = world.trainer.name, world.bob.name
    assert by_input == {"1": [trainer, bob], "inf": [trainer, trainer], "3": [trainer, trainer]}
    whole = world.alice.do("GET", f"{API3}/datasets/{dataset}")["dataset"]
    assert people(whole) == ["alice", bob]


def gateway_endpoint(writer: Writer, spoof: dict[str, str], api_base: str | None = None) -> dict[str, Any]:
    """A secret, a model definition and an endpoint, which all say who made them."""
    name = a_new("gateway")
    key = {"secret_name": name, "secret_value": {"api_key": "k"}, "provider": "openai"}
    base = {"auth_config": {"api_base": api_base}} if api_base else {}
    secret = writer.do("POST", f"{GATEWAY}/secrets/create", {**key, **base, **spoof})["secret"]
    definition = writer.do(
        "POST",
        f"{GATEWAY}/model-definitions/create",
        {"name": name, "secret_id": secret["secret_id"], "provider": "openai", "model_name": "m", **spoof},
    )["model_definition"]
    config = {
        "model_definition_id": definition["model_definition_id"],
        "linkage_type": "PRIMARY",
        "weight": 1.0,
    }
    endpoint = writer.do(
        "POST",
        f"{GATEWAY}/endpoints/create",
        {"name": name, "model_configs": [config], "usage_tracking": True, **spoof},
    )
    return {"secret": secret, "definition": definition, "endpoint": endpoint["endpoint"]}


@pytest.mark.parametrize("spoof", [{}, {"created_by": VICTIM}, {"createdBy": VICTIM}], ids=str)
def test_what_the_gateway_holds_is_its_makers(world: World, spoof: dict[str, str]) -> None:
    for writer in world.everybody:
        made = gateway_endpoint(writer, spoof)
        assert [made[kind]["created_by"] for kind in made] == [writer.name] * 3


def test_who_changes_the_gateway_is_remembered(world: World) -> None:
    made = gateway_endpoint(world.alice, {})
    spoof = {"updated_by": VICTIM}
    secret = world.trainer.do(
        "POST",
        f"{GATEWAY}/secrets/update",
        {"secret_id": made["secret"]["secret_id"], "secret_value": {"api_key": "l"}, **spoof},
    )["secret"]
    definition = world.trainer.do(
        "POST",
        f"{GATEWAY}/model-definitions/update",
        {"model_definition_id": made["definition"]["model_definition_id"], "model_name": "n", **spoof},
    )["model_definition"]
    endpoint = world.trainer.do(
        "POST",
        f"{GATEWAY}/endpoints/update",
        {"endpoint_id": made["endpoint"]["endpoint_id"], "name": a_new("renamed"), "updatedBy": VICTIM},
    )["endpoint"]
    for changed in (secret, definition, endpoint):
        assert people(changed) == ["alice", world.trainer.name]


def test_a_budget_is_its_makers(world: World) -> None:
    document = {
        "budget_unit": "USD",
        "budget_amount": 1.0,
        "duration": {"unit": "DAYS", "value": 1},
        "target_scope": "WORKSPACE",
        "budget_action": "ALERT",
    }
    made = world.trainer.do("POST", f"{GATEWAY}/budgets/create", {**document, "created_by": VICTIM})
    policy = made["budget_policy"]
    assert policy["created_by"] == world.trainer.name
    change = {"budget_policy_id": policy["budget_policy_id"], "budget_amount": 2.0, "updated_by": VICTIM}
    changed = world.alice.do("POST", f"{GATEWAY}/budgets/update", change)["budget_policy"]
    assert people(changed) == [world.trainer.name, "alice"]


def test_a_review_queue_is_its_makers_and_a_review_its_reviewers(world: World) -> None:
    for writer in world.everybody:
        document = {
            "experiment_id": world.experiment,
            "name": a_new("queue"),
            "queue_type": "CUSTOM",
            "created_by": VICTIM,
        }
        queue = writer.do("POST", f"{API3}/review-queues/create", document)["review_queue"]
        assert queue["created_by"] == writer.name


def test_an_mcp_server_is_its_makers(world: World) -> None:
    name = f"io.example/{a_new('server')}"
    base = f"{API3}/mcp-servers"
    made = world.trainer.do("POST", base, {"name": name, "created_by": VICTIM})
    assert made["created_by"] == world.trainer.name
    changed = world.alice.do("PATCH", f"{base}/{name}", {"description": "!", "last_updated_by": VICTIM})
    assert people(changed) == [world.trainer.name, "alice"]


def test_a_models_user_tag_is_the_callers(world: World) -> None:
    name = a_new("model")
    spoof = [{"key": "mlflow.user", "value": VICTIM}]
    made = world.trainer.do("POST", f"{API}/registered-models/create", {"name": name, "tags": spoof})
    assert made["registered_model"]["tags"] == [{"key": "mlflow.user", "value": world.trainer.name}]
    tag = {"name": name, "key": "mlflow.user", "value": VICTIM}
    world.alice.do("POST", f"{API}/registered-models/set-tag", tag)
    again = world.alice.do("GET", f"{API}/registered-models/get?name={name}")["registered_model"]
    assert again["tags"] == [{"key": "mlflow.user", "value": "alice"}]


def test_a_review_is_its_reviewers(world: World) -> None:
    location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": world.experiment}}
    info = {
        "trace_id": f"tr-{secrets.token_hex(16)}",
        "trace_location": location,
        "request_time": "2026-01-01T00:00:00Z",
        "state": "OK",
    }
    world.alice.do("POST", f"{API3}/traces", {"trace": {"trace_info": info}})
    document = {"experiment_id": world.experiment, "user": "alice", "created_by": VICTIM}
    queue = world.alice.do("POST", f"{API3}/review-queues/get-or-create-user", document)["review_queue"]
    assert queue["created_by"] == "alice"
    items = {"queue_id": queue["queue_id"], "item_ids": [info["trace_id"]], "item_type": "TRACE"}
    world.alice.do("POST", f"{API3}/review-queues/items/add", items)
    status = {"queue_id": queue["queue_id"], "item_id": info["trace_id"], "status": "COMPLETE"}
    for spoof in ({}, {"completed_by": VICTIM}, {"completedBy": VICTIM}):
        item = world.trainer.do("POST", f"{API3}/review-queues/items/set-status", {**status, **spoof})["item"]
        assert item["completed_by"] == world.trainer.name


def test_a_guardrail_is_its_makers(world: World) -> None:
    endpoint = gateway_endpoint(world.alice, {})["endpoint"]
    scorer = Guidelines(name=a_new("scorer"), guidelines="Be kind.", model=f"gateway:/{endpoint['name']}")
    document = {
        "experiment_id": world.experiment,
        "name": scorer.name,
        "serialized_scorer": json.dumps(scorer.model_dump()),
    }
    registered = world.alice.do("POST", f"{API3}/scorers/register", document)
    made = world.trainer.do(
        "POST",
        f"{GATEWAY}/guardrails/create",
        {
            "name": a_new("guardrail"),
            "scorer_id": registered["scorer_id"],
            "scorer_version": registered["version"],
            "stage": "BEFORE",
            "action": "VALIDATION",
            "created_by": VICTIM,
        },
    )["guardrail"]
    assert made["created_by"] == world.trainer.name
    placed = {"endpoint_id": endpoint["endpoint_id"], "guardrail_id": made["guardrail_id"]}
    config = world.bob.do("POST", f"{GATEWAY}/guardrails/add-to-endpoint", placed)["config"]
    assert config["created_by"] == world.bob.name


def test_a_call_of_the_gateway_is_its_callers(world: World) -> None:
    with listening() as provider:
        endpoint = gateway_endpoint(world.alice, {}, f"{provider.url}/v1")["endpoint"]
        call = {"model": endpoint["name"], "messages": [{"role": "user", "content": "?"}], "user": VICTIM}
        world.trainer.ask("POST", "/gateway/mlflow/v1/chat/completions", call)
        assert provider.take()
    search = {
        "locations": [
            {
                "type": "MLFLOW_EXPERIMENT",
                "mlflow_experiment": {"experiment_id": endpoint["experiment_id"]},
            }
        ]
    }

    def metadata() -> dict[str, str]:
        found = world.alice.do("POST", f"{API3}/traces/search", search).get("traces", [])
        return dict(found[0].get("trace_metadata", {})) if found else {}

    until(lambda: "mlflow.auth.username" in metadata())
    recorded = metadata()
    assert recorded["mlflow.auth.username"] == world.trainer.name
    assert recorded["mlflow.auth.userId"] not in ("", world.trainer.name)
