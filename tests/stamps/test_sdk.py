"""The SDK sends the name of the operating system's user, or what it is told: the caller is recorded."""

from __future__ import annotations

import json
import secrets

import pytest

from tests.harness.sdk import Sdk
from tests.stamps import steps
from tests.stamps.conftest import ACCOUNT, API3, World, Writer

pytestmark = pytest.mark.xdist_group("stamps")


def authors_of_records(reader: Writer, dataset_id: str) -> set[str]:
    records = json.loads(reader.do("GET", f"{API3}/datasets/{dataset_id}/records")["records"])
    return {record[field] for record in records for field in ("created_by", "last_updated_by")}


def test_a_run_is_its_makers(world: World, alices_sdk: Sdk, trainers_sdk: Sdk) -> None:
    assert alices_sdk.run(steps.start_run, world.experiment) == ("alice", "alice")
    assert trainers_sdk.run(steps.start_run, world.experiment) == (ACCOUNT, ACCOUNT)


def test_a_trace_is_its_authors(world: World, alices_sdk: Sdk, trainers_sdk: Sdk) -> None:
    for sdk, name in ((alices_sdk, "alice"), (trainers_sdk, ACCOUNT)):
        people = sdk.run(steps.trace_people, sdk.run(steps.trace, world.experiment))
        assert people == {"mlflow.user": name, "mlflow.trace.user": name}


def test_an_end_user_and_a_session_are_kept_from_everybody(
    world: World, alices_sdk: Sdk, trainers_sdk: Sdk
) -> None:
    for sdk, name in ((alices_sdk, "alice"), (trainers_sdk, ACCOUNT)):
        trace = sdk.run(steps.trace, world.experiment, "customer-17", "session-3")
        people = sdk.run(steps.trace_people, trace)
        assert people == {
            "mlflow.user": name,
            "mlflow.trace.user": "customer-17",
            "mlflow.trace.session": "session-3",
        }


def test_a_persons_assessment_is_theirs_a_services_its_users_and_a_judges_the_judges(
    world: World, alices_sdk: Sdk, trainers_sdk: Sdk
) -> None:
    trace_id = alices_sdk.run(steps.trace, world.experiment)
    for sdk, name, recorder in ((alices_sdk, "alice", None), (trainers_sdk, "carol", ACCOUNT)):
        made = sdk.run(steps.assess, trace_id, "HUMAN", "carol")
        assert made == {"type": "HUMAN", "id": name, "recorder": recorder}
        for kind, machine in (("LLM_JUDGE", "a-model"), ("CODE", "a-scorer")):
            made = sdk.run(steps.assess, trace_id, kind, machine)
            assert made == {"type": kind, "id": machine, "recorder": None}


def test_a_dataset_and_its_records_are_their_makers(world: World, alices_sdk: Sdk, trainers_sdk: Sdk) -> None:
    for sdk, name in ((alices_sdk, "alice"), (trainers_sdk, ACCOUNT)):
        made = sdk.run(steps.make_dataset, world.experiment, f"dataset-{secrets.token_hex(4)}")
        assert made["people"] == [name, name]
        assert authors_of_records(world.alice, made["id"]) == {name}
        assert made["inputs"] == ["!", "?"]
        assert made["tags"]["mlflow.user"] == name
        assert made["tags"]["stage"] == "one"
