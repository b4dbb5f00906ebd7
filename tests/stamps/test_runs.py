"""A run belongs to whoever made it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.stamps.conftest import AJAX, API, World, Writer

pytestmark = pytest.mark.xdist_group("stamps")

VICTIM = "carol"
SPOOFED_TAGS = [
    {"key": "a", "value": "1"},
    {"key": "mlflow.user", "value": VICTIM},
    {"key": "b", "value": "2"},
]


def author(writer: Writer, run_id: str) -> tuple[str, list[str]]:
    """``user_id`` and every tag that could be the user's."""
    run = writer.do("GET", f"{API}/runs/get?run_id={run_id}")["run"]
    tags = [tag["value"] for tag in run["data"]["tags"] if tag["key"].strip().lower() == "mlflow.user"]
    return run["info"]["user_id"], tags


@pytest.mark.parametrize("base", [API, AJAX])
@pytest.mark.parametrize(
    "spoof",
    [
        {},
        {"user_id": VICTIM},
        {"userId": VICTIM},
        {"user_id": None},
        {"tags": SPOOFED_TAGS},
        {"tags": None},
        {"tags": [*SPOOFED_TAGS, *SPOOFED_TAGS[1:2]]},
        {"tags": [{"key": " MLflow.User ", "value": VICTIM}]},
        {"tags": SPOOFED_TAGS, "userId": VICTIM},
    ],
    ids=json.dumps,
)
def test_a_run_is_its_makers(world: World, base: str, spoof: dict[str, Any]) -> None:
    for writer in world.everybody:
        document = {"experiment_id": world.experiment, "start_time": 1, **spoof}
        run = writer.do("POST", f"{base}/runs/create", document)["run"]
        assert author(writer, run["info"]["run_id"]) == (writer.name, [writer.name])


def test_a_document_in_a_text_is_read_as_mlflow_reads_it(world: World) -> None:
    spoof = json.dumps({"experiment_id": world.experiment, "user_id": VICTIM, "tags": SPOOFED_TAGS})
    run = world.alice.do("POST", f"{API}/runs/create", spoof)["run"]
    assert run["info"]["experiment_id"] == world.experiment
    assert author(world.alice, run["info"]["run_id"]) == ("alice", ["alice"])


def test_what_protobuf_cannot_parse_does_not_hide_the_author(world: World) -> None:
    """protobuf's parser stops there, and MLflow makes a run of the fields before."""
    document = {"experiment_id": world.experiment, "end_time_of": [], "runName": {}, "user_id": VICTIM}
    answer = world.alice.ask("POST", f"{API}/runs/create", document)
    if answer.status == 200:
        assert author(world.alice, answer.json["run"]["info"]["run_id"]) == ("alice", ["alice"])
    else:
        assert answer.status == 400


@pytest.mark.parametrize(
    "body",
    [
        b'{"experiment_id": "1", "user_id": "carol", "user_id": "dora"}',
        b'"\\"no object\\""',
        b"[]",
        b"no json",
        b'{"tags": "mlflow.user"}',
        b'{"tags": {"mlflow.user": "carol"}}',
        b'{"tags": [null]}',
        b'{"tags": [["mlflow.user", "carol"]]}',
        b'{"tags": [{"key": ["mlflow.user"], "value": "carol"}]}',
    ],
)
def test_what_cannot_be_understood_is_refused(world: World, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = world.alice.ask("POST", f"{API}/runs/create", body=body, headers=headers)
    assert (answer.status, answer.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), answer.text
    assert "refused" in answer.text


def test_a_compressed_body_is_refused(world: World) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = world.alice.ask("POST", f"{API}/runs/create", body=b"{}", headers=headers)
    assert answer.status == 400


def test_who_tags_a_run_with_a_user_tags_it_with_themselves(world: World) -> None:
    run = world.alice.do("POST", f"{API}/runs/create", {"experiment_id": world.experiment})["run"]
    run_id = run["info"]["run_id"]
    world.trainer.do("POST", f"{API}/runs/set-tag", {"run_id": run_id, "key": "mlflow.user", "value": VICTIM})
    assert author(world.alice, run_id) == ("alice", [world.trainer.name])
    world.bob.do("POST", f"{API}/runs/log-batch", {"run_id": run_id, "tags": SPOOFED_TAGS})
    assert author(world.alice, run_id) == ("alice", [world.bob.name])
    world.trainer.do("POST", f"{API}/runs/log-batch", {"run_id": run_id, "tags": SPOOFED_TAGS[:1]})
    world.trainer.do("POST", f"{API}/runs/set-tag", {"run_id": run_id, "key": "c", "value": VICTIM})
    assert author(world.alice, run_id) == ("alice", [world.bob.name])
    tags = world.alice.do("GET", f"{API}/runs/get?run_id={run_id}")["run"]["data"]["tags"]
    assert {"key": "c", "value": VICTIM} in tags
    assert {"key": "b", "value": "2"} in tags


@pytest.mark.parametrize("spoof", [{}, {"user_id": VICTIM}, {"user_id": VICTIM, "tags": []}], ids=json.dumps)
def test_a_run_of_the_prompt_lab_is_its_makers(world: World, spoof: dict[str, Any]) -> None:
    document = {
        "experiment_id": world.experiment,
        "run_name": "promptlab",
        "prompt_template": "{{ a }}",
        "prompt_parameters": [{"key": "a", "value": "1"}],
        "model_route": "route",
        "model_parameters": [],
        "model_input": "1",
        "model_output": "2",
        "model_output_parameters": [],
        "mlflow_version": "3.17.2",
        **spoof,
    }
    for writer in world.everybody:
        run = writer.do("POST", f"{AJAX}/runs/create-promptlab-run", document)["run"]
        assert author(writer, run["info"]["run_id"])[0] == writer.name
