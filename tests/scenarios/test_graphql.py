"""GraphQL, which MLflow's UI uses for the pages of experiments and runs: judged by what is executed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest

from tests.harness.http import Answer
from tests.harness.server import MlflowServer
from tests.scenarios.naming import FOREIGN, OWN, SIBLING
from tests.scenarios.people import NAMED, TEAM_A, TEAM_B, Cluster
from tests.scenarios.studio import Studio

# What the UI of 3.17.2 sends (static/js/main.*.js and chunks), each field once.
EXPERIMENT_PAGE: Final = """
query MlflowGetExperimentQuery($input: MlflowGetExperimentInput!)
    @component(name: "MLflow.ExperimentRunTracking") {
  mlflowGetExperiment(input: $input) {
    apiError { code message }
    experiment { artifactLocation creationTime experimentId name tags { key value } }
  }
}"""
RUN_PAGE: Final = """
query GetRun($data: MlflowGetRunInput!) @component(name: "MLflow.ExperimentRunTracking") {
  mlflowGetRun(input: $data) {
    apiError { helpUrl code message }
    run {
      info { runName status runUuid experimentId artifactUri endTime lifecycleStage startTime userId }
      experiment { experimentId name tags { key value } artifactLocation lifecycleStage lastUpdateTime }
      modelVersions { status version name source }
      data { metrics { key value step timestamp } params { key value } tags { key value } }
      inputs { datasetInputs { dataset { digest name } tags { key value } } modelInputs { modelId } }
      outputs { modelOutputs { modelId step } }
    }
  }
}"""
RUNS: Final = """
query SearchRuns($data: MlflowSearchRunsInput!) {
  mlflowSearchRuns(input: $data) { runs { info { runUuid } experiment { name } modelVersions { name } } }
}"""
CHART: Final = """
query GetMetricHistoryBulkInterval($data: MlflowGetMetricHistoryBulkIntervalInput!) {
  mlflowGetMetricHistoryBulkInterval(input: $data) { metrics { timestamp step runId key value } }
}"""

_DEFAULTED: Final = """
query($d: MlflowGetRunInput = {runId: "%s"}) { mlflowGetRun(input: $d) { run { info { runUuid } } } }"""


class Asking:
    """Somebody's GraphQL requests."""

    def __init__(self, server: MlflowServer, token: str, workspace: str = NAMED) -> None:
        self.server, self.token, self.workspace = server, token, workspace

    def __call__(
        self, text: str, *, method: str = "POST", target: str = "/graphql", **variables: Any
    ) -> Answer:
        return self.server.ask(
            method,
            target,
            token=self.token,
            workspace=self.workspace,
            json_body={"query": text, "variables": variables},
        )


@pytest.fixture
def nora(server: MlflowServer, cluster: Cluster) -> Asking:
    return Asking(server, cluster.people.nora.token)


def _run(number: int, run: str) -> str:
    return f'r{number}: mlflowGetRun(input: {{runId: "{run}"}}) {{ run {{ info {{ runUuid }} }} }}'


def test_a_named_right_opens_the_pages_of_its_experiment(nora: Asking, studios: Mapping[str, Studio]) -> None:
    own = studios[OWN]
    for spelling in ("runId", "runUuid"):
        data = nora(RUN_PAGE, data={spelling: own.run}).json["data"]
        assert data["mlflowGetRun"]["run"]["info"]["runUuid"] == own.run
    assert data["mlflowGetRun"]["run"]["experiment"]["name"] == own.experiment_name
    page = nora(EXPERIMENT_PAGE, input={"experimentId": own.experiment}).json["data"]
    assert page["mlflowGetExperiment"]["experiment"]["name"] == own.experiment_name
    found = nora(RUNS, data={"experimentIds": [own.experiment]}).json["data"]
    assert own.run in [run["info"]["runUuid"] for run in found["mlflowSearchRuns"]["runs"]]
    assert nora(CHART, data={"runIds": [own.run], "metricKey": "m"}).json["errors"] is None


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_other_object_can_be_had(nora: Asking, studios: Mapping[str, Studio], method: str) -> None:
    own = studios[OWN]
    told = set()
    for owner in (SIBLING, FOREIGN, ""):
        run = studios[owner].run if owner else "f" * 32
        experiment = studios[owner].experiment if owner else "987654321"
        answers = [
            nora(RUN_PAGE, method=method, data={"runId": run}),
            nora(EXPERIMENT_PAGE, method=method, input={"experimentId": experiment}),
            nora(RUNS, method=method, data={"experimentIds": [own.experiment, experiment]}),
            nora(CHART, method=method, data={"runIds": [own.run, run], "metricKey": "m"}),
            # One hidden behind an alias, behind a fragment, behind a variable's default.
            nora(f"{{ {_run(1, own.run)} {_run(2, run)} }}", method=method),
            nora(f"{{ {_run(1, own.run)} ...F }} fragment F on Query {{ {_run(2, run)} }}", method=method),
            nora(_DEFAULTED % run, method=method),
        ]
        assert [answer.status for answer in answers] == [403] * len(answers)
        told.add(json.dumps([answer.json for answer in answers]))
    assert len(told) == 1
    assert SIBLING not in told.pop()


def test_the_query_string_does_not_count(nora: Asking, studios: Mapping[str, Studio]) -> None:
    """MLflow executes the body of a GET."""
    own, other = (f"{{ {_run(1, studios[owner].run)} }}" for owner in (OWN, SIBLING))
    target = f"/graphql?query={own.replace(' ', '%20').replace(chr(34), '%22')}"
    assert nora(other, method="GET", target=target).status == 403
    assert studios[OWN].run in nora(own, method="GET", target="/graphql?query={nothing}").text


def test_a_run_shows_the_models_that_may_be_listed(
    nora: Asking, server: MlflowServer, cluster: Cluster, studios: Mapping[str, Studio]
) -> None:
    own = studios[OWN]
    other = f"model-{SIBLING}-of-a-run"
    own.post("/api/2.0/mlflow/registered-models/create", name=other)
    for model in (own.model, other):
        own.new_version(model)
    text = """query Q($data: MlflowGetRunInput!) {
      a: mlflowGetRun(input: $data) {
        run { info { runUuid } modelVersions { n: name } more: modelVersions { source } }
      }
    }"""
    run = nora(text, data={"runId": own.run}).json["data"]["a"]["run"]
    assert {version["n"] for version in run["modelVersions"]} == {own.model}
    assert run["more"] == []
    root = Asking(server, cluster.people.root.token)
    run = root(text, data={"runId": own.run}).json["data"]["a"]["run"]
    assert {version["n"] for version in run["modelVersions"]} >= {own.model, other}
    assert len(run["more"]) == len(run["modelVersions"])


def test_models_need_the_right_on_all_of_them(nora: Asking, studios: Mapping[str, Studio]) -> None:
    assert nora("{ mlflowSearchModelVersions(input: {}) { modelVersions { name } } }").status == 403


def test_whoever_holds_nothing_learns_nothing(server: MlflowServer, cluster: Cluster) -> None:
    mallory = Asking(server, cluster.people.mallory.token, TEAM_A)
    schema = "{ __schema { queryType { name } } }"
    for text in (schema, '{ test(inputString: "x") { output } }', RUN_PAGE, "{"):
        assert mallory(text, data={"runId": "1"}).status in (400, 403), text
    bob = Asking(server, cluster.people.bob.token, TEAM_A)
    assert bob(schema).json["data"] == {"__schema": {"queryType": {"name": "Query"}}}
    assert bob('{ test(inputString: "x") { output } }').json["data"] == {"test": {"output": "x"}}


def test_an_admin_of_one_workspace_reads_nothing_of_another(
    server: MlflowServer, cluster: Cluster, studios: Mapping[str, Studio]
) -> None:
    carol = Asking(server, cluster.people.carol.token, TEAM_B)
    own, foreign = studios[FOREIGN], studios[OWN]
    assert own.run in carol(RUN_PAGE, data={"runId": own.run}).text
    versions = "{ mlflowSearchModelVersions(input: {}) { modelVersions { name } } }"
    for answer in (
        carol(RUN_PAGE, data={"runId": foreign.run}),
        carol(EXPERIMENT_PAGE, input={"experimentId": foreign.experiment}),
        carol(RUNS, data={"experimentIds": [foreign.experiment, own.experiment]}),
        carol(CHART, data={"runIds": [foreign.run], "metricKey": "m"}),
        carol(versions),
    ):
        assert answer.status == 200
        assert foreign.experiment_name not in answer.text
        assert f"-{OWN}-" not in answer.text
    elsewhere = Asking(server, cluster.people.carol.token, NAMED)
    assert elsewhere(RUN_PAGE, data={"runId": foreign.run}).status == 403


@pytest.mark.parametrize("body", ["[]", '[{"query": "{__typename}"}]', '"{}"', "{", '{"query": 1}', ""])
def test_what_mlflow_would_not_execute_is_refused(server: MlflowServer, cluster: Cluster, body: str) -> None:
    answer = server.ask(
        "POST",
        "/graphql",
        token=cluster.people.root.token,
        workspace=TEAM_A,
        headers={"Content-Type": "application/json"},
        body=body.encode(),
    )
    assert answer.status == 400
    assert answer.json["error_code"] == "INVALID_PARAMETER_VALUE"
