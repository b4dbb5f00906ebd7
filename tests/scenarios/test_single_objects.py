"""Rights on single objects: whoever holds one by name reaches that object by every route, and no other."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.harness.sdk import Sdk
from tests.harness.server import MlflowServer
from tests.scenarios import steps
from tests.scenarios.conftest import As
from tests.scenarios.named import (
    ENTRIES,
    AllAnswers,
    answers_of,
    then_a_right_on_the_object_is_enough,
    then_another_object_is_refused,
    then_lists_have_her_objects_and_no_others,
    then_siblings_and_foreign_objects_answer_alike,
)
from tests.scenarios.naming import FOREIGN, OWN, SIBLING
from tests.scenarios.people import NAMED, Cluster
from tests.scenarios.studio import Studio


@pytest.fixture(scope="module")
def answers(server: MlflowServer, cluster: Cluster, studios: Mapping[str, Studio]) -> AllAnswers:
    return answers_of(server, cluster.people.nora, studios)


def test_most_routes_are_covered() -> None:
    assert len(ENTRIES) > 130


def test_a_right_on_the_object_is_enough(answers: AllAnswers) -> None:
    then_a_right_on_the_object_is_enough(answers)


@pytest.mark.parametrize("owner", [SIBLING, FOREIGN])
def test_another_object_is_refused(answers: AllAnswers, owner: str) -> None:
    then_another_object_is_refused(answers, owner)


def test_a_list_has_her_objects_and_no_others(answers: AllAnswers) -> None:
    then_lists_have_her_objects_and_no_others(answers)


def test_a_sibling_and_a_foreign_object_answer_alike(answers: AllAnswers) -> None:
    then_siblings_and_foreign_objects_answer_alike(answers)


# With the SDK.


@pytest.fixture(scope="module")
def nora(cluster: Cluster, using_sdk: As, studios: Mapping[str, Studio]) -> Sdk:
    return using_sdk(token=cluster.people.nora.token, workspace=NAMED)


def test_she_finds_her_workspace(nora: Sdk) -> None:
    assert nora.run(steps.workspace_names) == [NAMED]


def test_she_works_in_an_experiment_that_she_knows_by_name(nora: Sdk, studios: Mapping[str, Studio]) -> None:
    own = studios[OWN]
    run, _, trace = nora.run(steps.work_by_name, own.experiment_name)
    assert nora.run(steps.run_content, run)["metrics"] == {"accuracy": 0.5, "loss": 0.1}
    assert nora.run(steps.artifacts, run) == ["note.txt"]
    assert nora.run(steps.download, run, "note.txt") == b"content"
    assert nora.run(steps.run_ids, [own.experiment]).count(run) == 1
    assert nora.run(steps.trace_names, trace) == ["think"]
    assert trace in nora.run(steps.trace_ids, own.experiment)
    assert nora.run(steps.experiment_by_name, own.experiment_name) == own.experiment


def test_she_works_in_no_other(nora: Sdk, studios: Mapping[str, Studio]) -> None:
    other = studios[SIBLING]
    refused = [
        nora.fails(steps.work_by_name, other.experiment_name),
        nora.fails(steps.run_content, other.run),
        nora.fails(steps.artifacts, other.run),
        nora.fails(steps.trace_ids, other.experiment),
        nora.fails(steps.run_ids, [other.experiment]),
        nora.fails(steps.dataset_records, other.dataset),
        nora.fails(steps.get_model, other.model),
    ]
    assert [error for error in refused if "is forbidden" not in str(error)] == []
    own = studios[OWN].experiment
    assert nora.run(steps.run_ids, [own, other.experiment]) == nora.run(steps.run_ids, [own]) != []


def test_she_registers_a_version_of_her_model_from_her_run(nora: Sdk, studios: Mapping[str, Studio]) -> None:
    own, other = studios[OWN], studios[SIBLING]
    assert int(nora.run(steps.registered_version, own.model, own.run)) > 1
    assert nora.run(steps.dataset_records, own.new_dataset()) == 1
    for model, run in ((own.model, other.run), (other.model, own.run)):
        assert "is forbidden" in str(nora.fails(steps.registered_version, model, run))


# What a refusal tells.


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/api/2.0/mlflow/runs/get?run_id={}", "run"),
        ("GET", "/api/2.0/mlflow/experiments/get?experiment_id={}", "experiment"),
        ("GET", "/api/3.0/mlflow/traces/{}", "trace"),
        ("GET", "/api/2.0/mlflow/logged-models/{}", "logged_model"),
        ("GET", "/api/3.0/mlflow/datasets/{}", "dataset"),
        ("GET", "/api/3.0/mlflow/gateway/endpoints/get?endpoint_id={}", "endpoint"),
        ("GET", "/api/3.0/mlflow/gateway/secrets/get?secret_id={}", "secret"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts/{}/a.txt", "experiment"),
    ],
)
def test_nobody_learns_whether_an_object_exists(
    server: MlflowServer, cluster: Cluster, studios: Mapping[str, Studio], method: str, path: str, kind: str
) -> None:
    ids = [getattr(studios[owner], kind) for owner in (SIBLING, FOREIGN)]
    token = cluster.people.nora.token
    told = {
        server.ask(method, path.format(each), token=token, workspace=NAMED).without("date")
        for each in (*ids, "987654321")
    }
    explained = set()
    for each in (*ids, "987654321"):
        target, _, query = path.format(each).partition("?")
        asked = {"method": method, "path": target, "query": query}
        document = server.ask(
            "POST", "/workspace-authz/explain", token=token, workspace=NAMED, json_body=asked
        ).json
        checks = [{**check, "source": ""} for check in document["checks"]]
        explained.add(str({**document, "path": "", "checks": checks}))
    assert len(told) == len(explained) == 1
    assert SIBLING not in explained.pop()


def test_a_trace_of_another_experiment_takes_nothing_from_her(
    server: MlflowServer, cluster: Cluster, studios: Mapping[str, Studio]
) -> None:
    """MLflow adds spans, tags and assessments to the trace that has the id, wherever it lies."""
    own, other = studios[OWN], studios[SIBLING]
    trace, export = other.new_export()
    kind = {"Content-Type": "application/x-protobuf"}

    def send(experiment: str, token: str) -> int:
        headers = {**kind, "x-mlflow-experiment-id": experiment}
        return server.ask(
            "POST", "/v1/traces", token=token, workspace=NAMED, headers=headers, body=export
        ).status

    assert send(other.experiment, cluster.people.root.token) == 200
    assert send(own.experiment, cluster.people.nora.token) == 403
    location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": own.experiment}}
    # Protobuf's JSON takes each name in either spelling.
    for found, holder, status in (
        (trace, "trace_info", 403),
        (trace, "traceInfo", 403),
        (own.trace, "traceInfo", 200),
    ):
        info = {
            "trace_id": found,
            "trace_location": location,
            "request_time": "2026-01-01T00:00:00Z",
            "state": "OK",
            "tags": {"mine": "yes"},
        }
        answer = server.ask(
            "POST",
            "/api/3.0/mlflow/traces",
            token=cluster.people.nora.token,
            workspace=NAMED,
            json_body={"trace": {holder: info}},
        )
        assert answer.status == status, answer.text


@pytest.mark.parametrize("spelt", ["model_configs", "modelConfigs"])
def test_her_endpoint_uses_no_model_that_she_may_not_use(
    server: MlflowServer, cluster: Cluster, studios: Mapping[str, Studio], spelt: str
) -> None:
    own, other = studios[OWN], studios[SIBLING]
    for definition, status in ((other.definition, 403), (own.definition, 200)):
        config = {"model_definition_id": definition, "linkage_type": "PRIMARY", "weight": 1.0}
        answer = server.ask(
            "POST",
            "/api/3.0/mlflow/gateway/endpoints/update",
            token=cluster.people.nora.token,
            workspace=NAMED,
            json_body={"endpoint_id": own.endpoint, spelt: [config]},
        )
        assert answer.status == status, answer.text
