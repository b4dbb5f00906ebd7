"""GraphQL, which MLflow's UI uses for the pages of experiments and runs: judged by what is executed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import pytest

from tests.harness.http import Answer
from tests.harness.server import MlflowServer
from tests.scenarios.naming import FOREIGN, OWN, SIBLING
from tests.scenarios.people import NAMED, TEAM_A, TEAM_B, Cluster
from tests.scenarios.studio import Studio


def _sent_by_the_ui() -> Mapping[str, str]:
    """Every GraphQL document in the UI's own JavaScript, by its operation's name."""
    scripts = Path(str(files("mlflow.server"))) / "js" / "build" / "static" / "js"
    found = (
        match
        for script in scripts.glob("*.js")
        for match in re.finditer(r"`(\s*(?:query|mutation) (\w+)\([^`]*)`", script.read_text("utf-8"))
    )
    return {match[2]: match[1] for match in found}


UI: Final = _sent_by_the_ui()
EXPERIMENT_PAGE: Final = UI["MlflowGetExperimentQuery"]
RUN_PAGE: Final = UI["GetRun"]
RUNS: Final = UI["SearchRuns"]
CHART: Final = UI["GetMetricHistoryBulkInterval"]

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
            nora(RUNS, method=method, data={"experimentIds": [experiment]}),
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


def test_nothing_else_is_sent_by_the_ui() -> None:
    """A document of a newer MLflow is one to be tried here."""
    assert UI.keys() == {"GetRun", "SearchRuns", "MlflowGetExperimentQuery", "GetMetricHistoryBulkInterval"}


TWO_SEARCHES: Final = """
query($ids: [String], $one: MlflowSearchRunsInput!) {
  a: mlflowSearchRuns(input: {experimentIds: $ids}) { runs { info { runUuid experimentId } } }
  ...B
}
fragment B on Query { b: mlflowSearchRuns(input: $one) { ...Found } ... on Query { v: VERSIONS } }
fragment Found on MlflowSearchRunsResponse { runs { info { runUuid experimentId } experiment { name } } }
"""


def _versions(text: str) -> str:
    return f'mlflowSearchModelVersions(input: {{filter: "{text}"}}) {{ modelVersions {{ name }} }}'


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_searches_are_kept_to_what_may_be_listed(
    nora: Asking, studios: Mapping[str, Studio], method: str
) -> None:
    own = studios[OWN]
    for owner in (OWN, SIBLING, FOREIGN):
        studios[owner].new_version(studios[owner].model)
    ids = [studios[owner].experiment for owner in (SIBLING, OWN, FOREIGN)] + ["987654321"]
    alone = nora(RUNS, method=method, data={"experimentIds": [own.experiment], "filter": ""})
    among = nora(RUNS, method=method, data={"experimentIds": ids, "filter": ""})
    assert among.json == alone.json
    assert own.run in among.text
    both = nora(
        TWO_SEARCHES.replace("VERSIONS", _versions("name != 'x'")),
        method=method,
        ids=ids,
        one={"experimentIds": ids[::-1], "maxResults": 1},
    ).json["data"]
    for runs in (both["a"]["runs"], both["b"]["runs"]):
        assert {run["info"]["experimentId"] for run in runs} == {own.experiment}
    assert len(both["b"]["runs"]) == 1
    names = {version["name"] for version in both["v"]["modelVersions"]}
    assert own.model in names
    assert all(f"-{OWN}-" in name for name in names)


def test_pages_of_versions_are_full_and_tell_of_no_others(
    nora: Asking, studios: Mapping[str, Studio]
) -> None:
    own, others = studios[OWN], [studios[SIBLING], studios[FOREIGN]]
    for _ in range(3):
        for studio in (*others, own, *others):
            studio.new_version(studio.model)
    text = """query($page: String, $size: LongString = 2) {
      found: mlflowSearchModelVersions(input: {pageToken: $page, maxResults: $size}) {
        nextPageToken modelVersions { name version }
      }
    }"""
    everything = nora(text, size="1000").json["data"]["found"]
    assert not everything["nextPageToken"]
    pages: list[list[Any]] = []
    following = None
    while following or not pages:
        found = nora(text, page=following).json["data"]["found"]
        pages.append(found["modelVersions"])
        following = found["nextPageToken"]
    assert [len(page) for page in pages[:-1]] == [2] * (len(pages) - 1)
    assert [version for page in pages for version in page] == everything["modelVersions"]
    names = [version["name"] for page in pages for version in page]
    assert names.count(own.model) >= 3
    assert all(f"-{OWN}-" in name for name in names)
    for hidden in (f"name = '{studios[SIBLING].model}'", "name LIKE '%'", "name NOT IN ('x')"):
        assert f"-{SIBLING}-" not in nora(f"{{ {_versions(hidden)} }}").text
    assert nora(f"{{ {_versions('name = 1 OR name != 2')} }}").status == 400


def test_where_mlflow_takes_no_list_of_names_the_reason_is_told(
    oldest_server: MlflowServer, cluster: Cluster, named_rights: None
) -> None:
    """MLflow 3.16."""
    nora = Asking(oldest_server, cluster.people.nora.token)
    answer = nora("{ mlflowSearchModelVersions(input: {}) { modelVersions { name } } }")
    assert answer.status == 403
    assert "before 3.17" in answer.text


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
