"""Ids that are unique in the whole server, of which a client may choose some."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

from tests.harness.http import Answer
from tests.isolation.test_trace_locations import spans
from tests.isolation.world import World
from tests.scenarios.people import TEAM_A, TEAM_B

V2, V3 = "/api/2.0/mlflow", "/api/3.0/mlflow"
OTLP: Final = {"Content-Type": "application/x-protobuf"}
CANARY: Final = "written by team-b"
Ids = Mapping[str, str]


def info(trace: str, experiment: str, **more: object) -> dict[str, Any]:
    location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
    plain = {"trace_id": trace, "trace_location": location, "request_time": "2026-01-01T00:00:00Z"}
    return {"trace": {"trace_info": {**plain, "state": "OK", **more}}}


def assessment(**more: object) -> dict[str, Any]:
    moment = "2026-01-01T00:00:00Z"
    return {
        "assessment_name": "n",
        "source": {"source_type": "HUMAN", "source_id": "x"},
        "feedback": {"value": True},
        "create_time": moment,
        "last_update_time": moment,
        **more,
    }


def start(world: World, trace: str, experiment: str, workspace: str = TEAM_A, **more: object) -> Answer:
    return world.ask("POST", f"{V3}/traces", workspace=workspace, json_body=info(trace, experiment, **more))


def new_trace(world: World, ids: Ids, workspace: str) -> str:
    trace = f"tr-{secrets.token_hex(16)}"
    assert start(world, trace, ids[workspace], workspace, request_preview=CANARY).status == 200
    return trace


def assessed(world: World, ids: Ids) -> tuple[str, str]:
    """The ids of a trace of team-b and of its assessment."""
    trace = new_trace(world, ids, TEAM_B)
    document = {"assessment": assessment(trace_id=trace, rationale=CANARY)}
    made = world.make(f"{V3}/traces/{trace}/assessments", document, workspace=TEAM_B)
    return trace, made["assessment"]["assessment_id"]


def shown(world: World, trace: str, workspace: str = TEAM_B) -> Answer:
    return world.ask("GET", f"{V3}/traces/{trace}", workspace=workspace)


def test_stock_mlflow_lets_anybody_take_an_assessment(stock: World, stock_ids: dict[str, str]) -> None:
    """It writes over the assessment that has the id, and hangs it on the sender's trace."""
    trace, taken = assessed(stock, stock_ids)
    own = new_trace(stock, stock_ids, TEAM_A)
    assert taken in shown(stock, trace).text
    assert start(stock, own, stock_ids[TEAM_A], assessments=[assessment(assessment_id=taken)]).status == 200
    assert taken not in shown(stock, trace).text
    assert taken in shown(stock, own, TEAM_A).text


def test_the_id_of_an_assessment_is_mlflows_choice(guarded: World, guarded_ids: dict[str, str]) -> None:
    trace, taken = assessed(guarded, guarded_ids)
    before = shown(guarded, trace).json
    answers = []
    for chosen in (taken, f"a-{secrets.token_hex(16)}"):
        for spelling in ("assessment_id", "assessmentId"):
            own = new_trace(guarded, guarded_ids, TEAM_A)
            given = assessment(**{spelling: chosen})
            answers.append(start(guarded, own, guarded_ids[TEAM_A], assessments=[given]))
            fresh = f"tr-{secrets.token_hex(16)}"
            answers.append(start(guarded, fresh, guarded_ids[TEAM_A], assessments=[given]))
            path, document = f"{V3}/traces/{own}/assessments", {"assessment": {**given, "trace_id": own}}
            answers.append(guarded.ask("POST", path, json_body=document))
            assert chosen not in "".join(answer.text for answer in answers)
    of_taken, of_free = answers[:6], answers[6:]
    assert [answer.status for answer in of_taken] == [answer.status for answer in of_free]
    # MLflow 3.16 cannot add an assessment to a trace by starting it again, whosever the id.
    assert {answer.status for number, answer in enumerate(answers) if number % 3} == {200}
    assert shown(guarded, trace).json == before


def overridden(world: World, ids: Ids) -> tuple[str, str]:
    """The ids of a trace of team-b and of its assessment, which another one overrides."""
    trace, first = assessed(world, ids)
    document = {"assessment": assessment(trace_id=trace, overrides=first)}
    world.make(f"{V3}/traces/{trace}/assessments", document, workspace=TEAM_B)
    return trace, first


def valid(world: World, trace: str, assessment_id: str) -> bool:
    """Whether team-b sees its assessment as valid."""
    answer = world.ask("GET", f"{V3}/traces/{trace}/assessments/{assessment_id}", workspace=TEAM_B)
    assert answer.status == 200, answer.text
    return bool(answer.json["assessment"].get("valid"))


def override(world: World, ids: Ids, taken: str, field: str = "overrides") -> None:
    """Start a trace of team-a whose assessment overrides ``taken``, and delete that assessment."""
    own = f"tr-{secrets.token_hex(16)}"
    given = assessment(**{field: taken})
    assert start(world, own, ids[TEAM_A], assessments=[given]).status == 200
    (made,) = shown(world, own, TEAM_A).json["trace"]["trace_info"]["assessments"]
    path = f"{V3}/traces/{own}/assessments/{made['assessment_id']}"
    assert world.ask("DELETE", path).status == 200


def test_stock_mlflow_makes_an_assessment_of_another_workspace_valid_again(
    stock: World, stock_ids: dict[str, str]
) -> None:
    trace, first = overridden(stock, stock_ids)
    assert not valid(stock, trace, first)
    override(stock, stock_ids, first)
    assert valid(stock, trace, first)


def test_no_assessment_overrides_one_of_another_trace(guarded: World, guarded_ids: dict[str, str]) -> None:
    trace, first = overridden(guarded, guarded_ids)
    override(guarded, guarded_ids, first)
    assert not valid(guarded, trace, first)
    own = new_trace(guarded, guarded_ids, TEAM_A)
    document = {"assessment": assessment(trace_id=own, overrides=first)}
    # MLflow itself looks for it among the assessments of the trace.
    assert guarded.ask("POST", f"{V3}/traces/{own}/assessments", json_body=document).status == 404
    assert not valid(guarded, trace, first)


def _answers(world: World, ids: Ids, trace: str) -> dict[str, Answer]:
    """What is said of ``trace`` to somebody in team-a, by operation."""
    run = world.make(f"{V2}/runs/create", {"experiment_id": ids[TEAM_A], "start_time": 1})
    one = f"{V3}/traces/{trace}"
    ended = {"timestamp_ms": 5, "status": "OK", "request_metadata": [], "tags": []}
    linked = {"trace_ids": [trace], "run_id": run["run"]["info"]["run_id"]}
    deleted = {"experiment_id": ids[TEAM_A], "request_ids": [trace]}
    export = spans(trace, "k", "v").SerializeToString()
    return {
        "get": world.ask("GET", one),
        "get v2": world.ask("GET", f"{V2}/traces/{trace}/info"),
        "get with spans": world.ask("GET", f"{V3}/traces/get?trace_id={trace}"),
        "batch": world.ask("GET", f"{V3}/traces/batchGet?trace_ids={trace}"),
        "batch of infos": world.ask("POST", f"{V3}/traces/batchGetInfos", json_body={"trace_ids": [trace]}),
        "data": world.ask("GET", f"/ajax-api/2.0/mlflow/get-trace-artifact?request_id={trace}"),
        "tag": world.ask("PATCH", f"{one}/tags", json_body={"key": "k", "value": "v"}),
        "tag v2": world.ask("PATCH", f"{V2}/traces/{trace}/tags", json_body={"key": "k", "value": "v"}),
        "delete tag": world.ask("DELETE", f"{one}/tags", json_body={"key": "k"}),
        "end": world.ask("PATCH", f"{V2}/traces/{trace}", json_body=ended),
        "assess": world.ask(
            "POST", f"{one}/assessments", json_body={"assessment": assessment(trace_id=trace)}
        ),
        "assessment": world.ask("GET", f"{one}/assessments/a-1"),
        "link": world.ask("POST", f"{V2}/traces/link-to-run", json_body=linked),
        "link prompts": world.ask(
            "POST", f"{V2}/traces/link-prompts", json_body={"trace_id": trace, "prompt_versions": []}
        ),
        "delete": world.ask("POST", f"{V3}/traces/delete-traces", json_body=deleted),
        "spans": world.ask(
            "POST", "/v1/traces", headers={**OTLP, "x-mlflow-experiment-id": ids[TEAM_A]}, body=export
        ),
    }


def test_a_trace_of_another_workspace_answers_like_a_free_id(
    guarded: World, guarded_ids: dict[str, str]
) -> None:
    foreign = new_trace(guarded, guarded_ids, TEAM_B)
    before = shown(guarded, foreign).json
    free = f"tr-{secrets.token_hex(16)}"
    found, missing = (
        {
            name: (answer.status, answer.text.replace(trace, "TRACE"))
            for name, answer in _answers(guarded, guarded_ids, trace).items()
        }
        for trace in (foreign, free)
    )
    assert found == missing
    assert shown(guarded, foreign).json == before


def test_only_a_trace_that_is_started_under_a_taken_id_is_missed(
    guarded: World, guarded_ids: dict[str, str]
) -> None:
    """The limit that docs/permissions.md states: nothing of the other trace is told or changed."""
    foreign = new_trace(guarded, guarded_ids, TEAM_B)
    before = shown(guarded, foreign).json
    answer = start(guarded, foreign, guarded_ids[TEAM_A])
    assert (answer.status, CANARY in answer.text) == (404, False)
    assert start(guarded, f"tr-{secrets.token_hex(16)}", guarded_ids[TEAM_A]).status == 200
    assert shown(guarded, foreign).json == before
