"""The broad question first, then each object by its name; and what a refused caller learns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.pipeline.world import ABSENT, OTHER_TRACE, OWN, SIBLING, TRACE, V2, World
from workspace_authz.doors.explain import explain
from workspace_authz.errors import BadRequestError, ForbiddenError, MissingError, UnavailableError
from workspace_authz.mlflow_adapter.reading.request import AccessRequest, GivenBody
from workspace_authz.pipeline.verdict import Verdict, checks_for_caller, conclusion, reason, record


def asked(verdict: Verdict) -> Sequence[str]:
    return [f"{check.attributes.verb} {check.attributes.name or '*'}" for check in verdict.findings.checks]


FRAUD = ("get experiments fraud", "update experiments fraud", "delete experiments fraud")


async def test_a_broad_right_needs_no_name_and_reads_no_body() -> None:
    world = World("update experiments")
    verdict = await world.judge("POST", f"{V2}/runs/set-tag", run_id=SIBLING)
    assert verdict.passed
    assert asked(verdict) == ["update *"]
    assert (world.objects.read, world.objects.asked) == (0, [])


async def test_what_is_linked_besides_is_looked_up_whatever_the_right() -> None:
    metric = {"run_id": SIBLING, "key": "m", "value": 1, "timestamp": 1}
    world = World("update experiments")
    assert (await world.judge("POST", f"{V2}/runs/log-metric", **metric)).passed
    assert world.objects.asked == []
    verdict = await world.judge("POST", f"{V2}/runs/log-metric", **metric, model_id="m-nowhere")
    assert isinstance(verdict.error, MissingError)
    assert "m-nowhere" not in reason(verdict)


async def test_a_named_right_is_asked_after_the_broad_one() -> None:
    verdict = await World(*FRAUD).judge("POST", f"{V2}/runs/set-tag", run_id=OWN)
    assert verdict.passed
    assert asked(verdict) == ["update *", "update fraud"]


async def test_a_right_holds_for_its_verb_only() -> None:
    world = World("get experiments fraud")
    assert (await world.judge("GET", f"{V2}/experiments/get-by-name", experiment_name="fraud")).passed
    assert not (await world.judge("POST", f"{V2}/runs/set-tag", run_id=OWN)).passed


@pytest.mark.parametrize("workspace", ["team-a", "team-b"])
async def test_a_sibling_a_missing_and_a_foreign_object_are_refused_in_the_same_words(workspace: str) -> None:
    world = World(*FRAUD)
    told, explained = set(), set()
    for run in (SIBLING, ABSENT, "", "no-such"):
        verdict = await world.judge("POST", f"{V2}/runs/set-tag", run_id=run, workspace=workspace)
        assert isinstance(verdict.error, ForbiddenError)
        told.add(reason(verdict))
        request = world.request("POST", f"{V2}/runs/set-tag", run_id=run, workspace=workspace)
        document = (await explain(world.pipeline, request)).document()
        for check in document["checks"]:
            check.pop("source")
        explained.add(json.dumps(document))
    assert len(told) == len(explained) == 1
    assert "churn" not in told.pop() + explained.pop()


async def test_the_name_that_was_looked_up_is_in_the_audit_and_the_one_that_was_sent_in_the_refusal() -> None:
    world = World(*FRAUD)
    verdict = await world.judge("POST", f"{V2}/runs/set-tag", run_id=SIBLING)
    assert record(verdict)["checks"][-1]["name"] == "churn"
    verdict = await world.judge("PATCH", f"{V2}/registered-models/update", name="churn")
    assert reason(verdict).startswith('registeredmodels.mlflow.kubeflow.org "churn" is forbidden')


async def test_explain_shows_the_names_of_a_request_that_passes() -> None:
    world = World(*FRAUD)
    request = world.request("POST", f"{V2}/runs/set-tag", run_id=OWN)
    names = [check.get("name") for check in (await explain(world.pipeline, request)).document()["checks"]]
    assert names == [None, "fraud"]


@pytest.mark.parametrize("runs", [[OWN, SIBLING], [SIBLING, OWN], [OWN, ABSENT], [OWN, ""], []])
async def test_of_many_objects_all_must_be_allowed(runs: Sequence[str]) -> None:
    query = "&".join(f"run_id={run}" for run in runs)
    path = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
    assert not (await World(*FRAUD).judge("GET", path, query=query)).passed
    assert (await World(*FRAUD).judge("GET", path, query=f"run_id={OWN}&run_id={OWN}")).passed


async def test_every_further_requirement_must_be_fulfilled() -> None:
    world = World(*FRAUD)
    own, sibling = {"model_id": "m-1"}, {"model_id": "m-2"}
    for models, passes in (([own], True), ([own, sibling], False), ([{}], True), ([{}, sibling], False)):
        verdict = await world.judge("POST", f"{V2}/runs/outputs", run_id=OWN, models=models)
        assert verdict.passed is passes, models


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ("get experiments fraud", True),
        ("list experiments fraud", False),
        ("get experiments churn", False),
        ("delete experiments fraud", False),
    ],
)
async def test_a_refusal_names_an_object_that_the_caller_may_see(held: str, told: bool) -> None:
    refused = await World(held).judge("POST", f"{V2}/runs/delete", run_id=OWN)
    assert not refused.passed
    assert ('"fraud"' in reason(refused)) is told
    assert ("fraud" in str(checks_for_caller(refused))) is False


async def test_a_refusal_to_read_names_an_object_that_the_caller_may_list() -> None:
    for held, told in (("list experiments fraud", True), ("update experiments fraud", False)):
        refused = await World(held).judge("GET", f"{V2}/runs/get", query=f"run_id={OWN}")
        assert ('"fraud"' in reason(refused)) is told


async def test_a_rename_needs_the_old_name_and_the_new() -> None:
    path, held = f"{V2}/experiments/update", "update experiments fraud"
    change = {"experiment_id": "7", "new_name": "scam"}
    refused = await World(held).judge("POST", path, **change)
    assert reason(refused).startswith('experiments.mlflow.kubeflow.org "scam" is forbidden')
    assert not (await World("update experiments scam").judge("POST", path, **change)).passed
    assert (await World(held, "update experiments scam").judge("POST", path, **change)).passed


async def test_making_is_never_scoped_to_a_name_but_using_is() -> None:
    path = "/gateway/openai/v1/chat/completions"
    assert (await World("create gatewayendpoints/use own").judge("POST", path, model="own")).passed
    assert not (await World("create gatewayendpoints/use own").judge("POST", path, model="else")).passed
    verdict = await World("create experiments fraud").judge("POST", f"{V2}/experiments/create", name="fraud")
    assert not verdict.passed
    assert asked(verdict) == ["create *"]


async def test_a_trace_that_exists_stays_in_its_experiment() -> None:
    def info(trace: str) -> dict[str, object]:
        location = {"mlflow_experiment": {"experiment_id": "7"}}
        return {"trace_info": {"trace_id": trace, "trace_location": location}}

    path = "/api/3.0/mlflow/traces"
    for trace, passes in (("tr-new", True), (TRACE, True), (OTHER_TRACE, False), ("", True)):
        assert (await World(*FRAUD).judge("POST", path, trace=info(trace))).passed is passes, trace


@pytest.mark.parametrize(("spans", "passes"), [("tr-new", True), ("tr-new tr-1", True), ("tr-1 tr-2", False)])
async def test_spans_join_no_trace_of_another_experiment(spans: str, passes: bool) -> None:
    world = World(*FRAUD)
    headers = [
        (b"authorization", b"Bearer token"),
        (b"x-mlflow-workspace", b"team-a"),
        (b"x-mlflow-experiment-id", b"7"),
        (b"content-type", b"application/x-protobuf"),
    ]
    request = AccessRequest("POST", "/v1/traces", headers=headers, body=GivenBody(spans.encode()))
    assert (await world.pipeline.judge(request)).passed is passes


async def test_an_unreadable_body_is_refused_only_where_a_name_is_needed() -> None:
    headers = [(b"authorization", b"Bearer token"), (b"x-mlflow-workspace", b"team-a")]
    request = AccessRequest("POST", f"{V2}/runs/update", headers=headers, body=GivenBody(b"{"))
    assert (await World("update experiments").pipeline.judge(request)).passed
    assert isinstance((await World(*FRAUD).pipeline.judge(request)).error, BadRequestError)


async def test_a_look_up_that_fails_is_no_decision() -> None:
    world = World(*FRAUD)
    world.objects.error = UnavailableError("no database")
    verdict = await world.judge("POST", f"{V2}/runs/set-tag", run_id=OWN)
    assert conclusion(verdict) == "error"
    assert verdict.error is world.objects.error


async def test_without_mlflow_at_hand_only_broad_rights_count() -> None:
    world = World(*FRAUD)
    dry = replace(world.pipeline, mlflow=None)
    request = world.request("GET", f"{V2}/experiments/get-by-name", query="experiment_name=fraud")
    assert not (await dry.judge(request)).passed


async def test_a_logged_model_is_finalized_by_the_body_that_names_it() -> None:
    """MLflow ignores the path there: the right on the one does not finalize the other."""
    world = World("update experiments fraud")
    for path, body, passes in (("m-1", "m-1", True), ("m-1", "m-2", False), ("m-2", "m-1", False)):
        verdict = await world.judge("PATCH", f"{V2}/logged-models/{path}", model_id=body, status="READY")
        assert verdict.passed is passes, (path, body)
    assert not (await world.judge("PATCH", f"{V2}/logged-models/m-1", status="READY")).passed
