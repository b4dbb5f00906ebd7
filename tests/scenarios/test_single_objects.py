"""Rights on single objects: whoever holds one by name reaches that object by every route, and no other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pytest

from tests.harness.http import Answer
from tests.harness.sdk import Sdk
from tests.harness.server import MlflowServer
from tests.scenarios import steps
from tests.scenarios.campaign import request_of
from tests.scenarios.conftest import As
from tests.scenarios.naming import FOREIGN, OWN, SIBLING
from tests.scenarios.people import NAMED, Cluster
from tests.scenarios.recipes import RECIPES
from tests.scenarios.recipes.model import Call
from tests.scenarios.studio import Studio
from workspace_authz.catalog.compile import compile_catalog
from workspace_authz.catalog.entries import Entry
from workspace_authz.catalog.model import Guarded, Origin
from workspace_authz.enforcement.naming import nameable
from workspace_authz.types import Resource

_NAMELESS: Final = frozenset({Resource.GATEWAY_GUARDRAILS, Resource.GATEWAY_BUDGETS, Resource.ASSISTANTS})


def _by_name(entry: Entry) -> bool:
    """Whether the route touches objects that rights can name, and nothing that only broad rights reach."""
    policy = entry.route.policy
    if not isinstance(policy, Guarded):
        return False
    scoped = [
        need for need in policy.requirements if need.resource not in _NAMELESS and need.verb != "create"
    ] + [need for need in policy.requirements if need.subresource]
    return bool(scoped) and all(map(nameable, scoped))


def _entries() -> tuple[Entry, ...]:
    """One of each operation and method."""
    found: dict[tuple[str, str], Entry] = {}
    for entry in compile_catalog().entries:
        if _by_name(entry):
            found.setdefault((entry.method, entry.route.operation), entry)
    return tuple(found.values())


ENTRIES: Final = _entries()
LISTS: Final = frozenset(
    entry
    for entry in ENTRIES
    if isinstance(entry.route.policy, Guarded)
    for need in entry.route.policy.requirements
    if any(source.origin is Origin.RESPONSE for source in need.names)
)
"""Routes that list whatever there is if the request names nothing."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What one route answered nora."""

    own: Answer
    sibling: Answer
    foreign: Answer


@pytest.fixture(scope="module")
def answers(server: MlflowServer, cluster: Cluster, studios: Mapping[str, Studio]) -> Mapping[Entry, Answers]:
    """Every route, called by nora for her own object, for its sibling and for one of another workspace."""
    return {
        entry: Answers(**{owner: _ask(server, cluster, entry, studio) for owner, studio in studios.items()})
        for entry in ENTRIES
    }


def _ask(server: MlflowServer, cluster: Cluster, entry: Entry, studio: Studio) -> Answer:
    return _call(server, cluster, entry, RECIPES[entry.route.operation].make(studio))


def _call(server: MlflowServer, cluster: Cluster, entry: Entry, call: Call) -> Answer:
    target, headers, content = request_of(entry.method, entry.path, call)
    return server.ask(
        entry.method, target, token=cluster.people.nora.token, workspace=NAMED, headers=headers, body=content
    )


def _refused(answer: Answer) -> bool:
    return bool(answer.status == 403 and answer.json["error_code"] == "PERMISSION_DENIED")


def _told(answer: Answer) -> str:
    """The answer without the names that the caller sent."""
    return re.sub(rf"-({OWN}|{SIBLING}|{FOREIGN})-[0-9]+", "", answer.text)


def test_most_routes_are_covered() -> None:
    assert len(ENTRIES) > 130


def test_a_right_on_the_object_is_enough(answers: Mapping[Entry, Answers]) -> None:
    wrong = {
        f"{entry.method} {entry.path}": (found.own.status, found.own.text[:300])
        for entry, found in answers.items()
        if found.own.status not in RECIPES[entry.route.operation].answers
    }
    assert not wrong, "\n".join(map(str, wrong.items()))


@pytest.mark.parametrize("owner", [SIBLING, FOREIGN])
def test_another_object_is_refused(answers: Mapping[Entry, Answers], owner: str) -> None:
    wrong = {
        f"{entry.method} {entry.path}": (answer.status, answer.text[:300])
        for entry, found in answers.items()
        if not _refused(answer := getattr(found, owner)) and entry not in LISTS
    }
    assert not wrong, "\n".join(map(str, wrong.items()))


def test_a_list_has_her_objects_and_no_others(answers: Mapping[Entry, Answers]) -> None:
    wrong = {
        f"{entry.method} {entry.path}": (answer.status, answer.text[:300])
        for entry, found in answers.items()
        if entry in LISTS
        for answer in (found.own, found.sibling, found.foreign)
        if not _refused(answer) and (SIBLING in answer.text or FOREIGN in answer.text)
    }
    assert not wrong, "\n".join(map(str, wrong.items()))
    assert sum(OWN in answers[entry].own.text for entry in LISTS) > 10


def test_a_sibling_and_a_foreign_object_answer_alike(answers: Mapping[Entry, Answers]) -> None:
    wrong = {
        f"{entry.method} {entry.path}": (found.sibling.text, found.foreign.text)
        for entry, found in answers.items()
        if entry not in LISTS and _told(found.sibling) != _told(found.foreign)
    }
    assert not wrong, "\n".join(map(str, wrong.items()))


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
    for found, status in ((trace, 403), (own.trace, 200)):
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
            json_body={"trace": {"trace_info": info}},
        )
        assert answer.status == status, answer.text
