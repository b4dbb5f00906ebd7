"""What is linked to an object of the workspace is of the same workspace.

MLflow looks for the object that a request is about in the request's workspace, but not for those that it
links to it: a foreign logged model gets the caller's metrics, a foreign endpoint works for the caller.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.harness.http import Answer
from tests.isolation.world import World
from tests.scenarios.people import TEAM_A, TEAM_B
from tests.scenarios.studio import Studio
from tests.scenarios.tracking_studio import NOBODY_LISTENS, V2, V3

Linking = Callable[[Studio, str], Answer]


def studio_in(world: World, workspace: str) -> Studio:
    """A studio whose requests are those of the workspace's own admin."""

    def ask(method: str, path: str, **what: Any) -> Answer:
        return world.ask(method, path, workspace=workspace, **what)

    return Studio(ask, workspace, world.server.database, NOBODY_LISTENS)


def _metric(own: Studio, other: str) -> Answer:
    fields = {"run_id": own.run, "key": "stolen", "value": 1.0, "timestamp": 1, "step": 1, "model_id": other}
    return own.ask("POST", f"{V2}/runs/log-metric", json_body=fields)


def _metrics(own: Studio, other: str) -> Answer:
    metric = {"key": "stolen", "value": 1.0, "timestamp": 1, "step": 2, "model_id": other}
    return own.ask("POST", f"{V2}/runs/log-batch", json_body={"run_id": own.run, "metrics": [metric]})


def _input(own: Studio, other: str) -> Answer:
    fields = {"run_id": own.run, "models": [{"model_id": other}]}
    return own.ask("POST", f"{V2}/runs/log-inputs", json_body=fields)


def _output(own: Studio, other: str) -> Answer:
    fields = {"run_id": own.run, "models": [{"model_id": other, "step": 1}]}
    return own.ask("POST", f"{V2}/runs/outputs", json_body=fields)


def _issue(own: Studio, other: str) -> Answer:
    fields = {"experiment_id": own.experiment, "name": own.a_name("issue"), "description": "d"}
    return own.ask("POST", f"{V3}/issues", json_body={**fields, "source_run_id": other})


def _logged(own: Studio, other: str) -> Answer:
    fields = {"experiment_id": own.experiment, "name": own.a_name("model"), "source_run_id": other}
    return own.ask("POST", f"{V2}/logged-models", json_body=fields)


def mention(issue: str) -> dict[str, object]:
    """An assessment that says that a trace shows an issue."""
    return {
        "assessment_name": issue,
        "source": {"source_type": "CODE", "source_id": "a test"},
        "issue": {"issue_name": "i"},
    }


def _mention(own: Studio, other: str) -> Answer:
    fields = {"assessment": mention(other)}
    return own.ask("POST", f"{V3}/traces/{own.new_trace()}/assessments", json_body=fields)


def _mention_at_start(own: Studio, other: str) -> Answer:
    location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": own.experiment}}
    info = {
        "trace_id": own.a_name("tr"),
        "trace_location": location,
        "request_time": "2026-01-01T00:00:00Z",
        "state": "OK",
        "assessments": [mention(other)],
    }
    return own.ask("POST", f"{V3}/traces", json_body={"trace": {"trace_info": info}})


def _dataset(own: Studio, other: str) -> Answer:
    fields = {"name": own.a_name("dataset"), "experiment_ids": [other]}
    return own.ask("POST", f"{V3}/datasets/create", json_body=fields)


def _traced(own: Studio, other: str) -> Answer:
    config = {"model_definition_id": own.definition, "linkage_type": "PRIMARY", "weight": 1.0}
    fields = {"name": own.a_name("endpoint"), "model_configs": [config], "experiment_id": other}
    return own.ask("POST", f"{V3}/gateway/endpoints/create", json_body=fields)


def _retraced(own: Studio, other: str) -> Answer:
    fields = {"endpoint_id": own.endpoint, "experiment_id": other, "usage_tracking": True}
    return own.ask("POST", f"{V3}/gateway/endpoints/update", json_body=fields)


def _guardrail(own: Studio, other: str) -> Answer:
    fields = {
        "name": own.a_name("guardrail"),
        "scorer_id": own.scorer["scorer_id"],
        "scorer_version": 1,
        "stage": "BEFORE",
        "action": "SANITIZATION",
        "action_endpoint_id": other,
    }
    return own.ask("POST", f"{V3}/gateway/guardrails/create", json_body=fields)


def _binding(own: Studio, other: str) -> Answer:
    fields = {"endpoint_id": own.new_endpoint(), "resource_type": "scorer", "resource_id": other}
    return own.ask("POST", f"{V3}/gateway/endpoints/bindings/create", json_body=fields)


LINKS: Mapping[str, tuple[Linking, str]] = {
    "metric": (_metric, "logged_model"),
    "metrics": (_metrics, "logged_model"),
    "input": (_input, "logged_model"),
    "output": (_output, "logged_model"),
    "issue": (_issue, "run"),
    "logged": (_logged, "run"),
    "mention": (_mention, "issue"),
    "mention at start": (_mention_at_start, "issue"),
    "dataset": (_dataset, "experiment"),
    "traced": (_traced, "experiment"),
    "retraced": (_retraced, "experiment"),
    "guardrail": (_guardrail, "endpoint"),
    "binding": (_binding, "scorer_id"),
}
"""How something is linked, and what."""
NOWHERE = {
    "logged_model": f"m-{secrets.token_hex(16)}",
    "run": secrets.token_hex(16),
    "experiment": "98765",
    "issue": f"iss-{secrets.token_hex(16)}",
}


@pytest.mark.parametrize("link", LINKS)
def test_stock_mlflow_links_what_is_another_workspaces(stock: World, link: str) -> None:
    linking, kind = LINKS[link]
    own, other = studio_in(stock, TEAM_A), studio_in(stock, TEAM_B)
    assert linking(own, getattr(other, kind)).status == 200


def test_stock_mlflow_writes_metrics_into_another_workspaces_model(stock: World) -> None:
    own, other = studio_in(stock, TEAM_A), studio_in(stock, TEAM_B)
    _metric(own, other.logged_model)
    assert "stolen" in other.ask("GET", f"{V2}/logged-models/{other.logged_model}").text


def test_stock_mlflow_makes_it_the_run_of_a_model_version(stock: World) -> None:
    """Who lacks the right on the run cannot read it, but a version of theirs claims to come from there."""
    own, other = studio_in(stock, TEAM_A), studio_in(stock, TEAM_B)
    model = _logged(own, other.run).json["model"]["info"]["model_id"]
    fields = {"name": own.new_model(), "source": f"models:/{model}", "model_id": model}
    made = own.ask("POST", f"{V2}/model-versions/create", json_body=fields)
    assert made.json["model_version"]["run_id"] == other.run


def test_stock_mlflow_counts_another_workspaces_traces_for_an_issue(stock: World) -> None:
    own, other = studio_in(stock, TEAM_A), studio_in(stock, TEAM_B)
    issue = other.new_issue()
    _mention(own, issue)
    found = other.ask(
        "POST",
        f"{V3}/issues/search",
        json_body={"experiment_id": other.experiment, "include_trace_count": True},
    )
    assert [each["trace_count"] for each in found.json["issues"] if each["issue_id"] == issue] == [1]


@pytest.mark.parametrize("link", LINKS)
def test_behind_the_guard_foreign_and_missing_objects_are_not_there(guarded: World, link: str) -> None:
    linking, kind = LINKS[link]
    own, other = studio_in(guarded, TEAM_A), studio_in(guarded, TEAM_B)
    answers = [linking(own, each) for each in (getattr(other, kind), NOWHERE.get(kind, "e-0"))]
    assert [answer.status for answer in answers] == [404, 404]
    assert answers[0].json == answers[1].json
    assert answers[0].json["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    answer = linking(own, getattr(own, kind))
    assert answer.status == 200, answer.text
