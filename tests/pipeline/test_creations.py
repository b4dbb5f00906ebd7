"""Who makes something does not own it: the record says which grant would give them a right of their own."""

from __future__ import annotations

import pytest

from tests.pipeline.world import V2, World
from workspace_authz.pipeline.verdict import demand_applicable, record

V3 = V2.replace("2.0", "3.0")


@pytest.mark.parametrize(
    ("path", "right", "fields", "created"),
    [
        (f"{V2}/experiments/create", "create experiments", {"name": "fraud"}, ("experiments", "fraud")),
        (
            f"{V2}/registered-models/create",
            "create registeredmodels",
            {"name": "a b"},
            ("registeredmodels", "a b"),
        ),
        (f"{V3}/datasets/create", "create datasets", {"name": "d"}, ("datasets", "d")),
        (
            f"{V3}/gateway/secrets/create",
            "create gatewaysecrets",
            {"secret_name": "key", "secret_value": {"k": "v"}, "provider": "p"},
            ("gatewaysecrets", "key"),
        ),
    ],
)
async def test_a_create_that_names_its_object(
    path: str, right: str, fields: dict[str, object], created: tuple[str, str]
) -> None:
    verdict = await World(right).judge("POST", path, **fields)
    assert verdict.passed
    resource, name = created
    option = {"experiments": "--experiment", "registeredmodels": "--model", "datasets": "--dataset"}
    quoted = f"'--model={name}'" if " " in name else f"{option.get(resource, '--secret')}={name}"
    assert record(verdict)["created"] == {
        "resource": resource,
        "name": name,
        "grant": f"workspace-authz grant alice manage {quoted} -n team-a",
    }


@pytest.mark.parametrize("name", ["", 7, None, "x" * 501, "a\nb"])
async def test_what_is_no_name_is_in_no_record(name: object) -> None:
    verdict = await World("create datasets").judge("POST", f"{V3}/datasets/create", name=name)
    assert "created" not in record(verdict)


async def test_what_is_refused_makes_nothing() -> None:
    allowed = await World("create experiments").judge("POST", f"{V2}/experiments/create", name="fraud")
    assert "created" in record(allowed)
    assert "created" not in record(demand_applicable(allowed, ()))
    verdict = await World().judge("POST", f"{V2}/experiments/create", name="fraud")
    assert not verdict.passed
    assert "created" not in record(verdict)


async def test_what_makes_no_object_of_its_own_says_nothing() -> None:
    world = World("update experiments", "create gatewayendpoints/use")
    for path, fields in ((f"{V2}/runs/set-tag", {"run_id": "r", "key": "k", "value": "v"}),):
        verdict = await world.judge("POST", path, **fields)
        assert "created" not in record(verdict)
