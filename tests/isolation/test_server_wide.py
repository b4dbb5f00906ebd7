"""What reaches beyond a workspace by its nature: jobs of one's own making, the assistant, workspaces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.server import ServerOptions, mlflow_server
from tests.isolation.world import World
from tests.scenarios.people import TEAM_A, TEAM_B

JOBS = "/ajax-api/3.0/jobs/"
ASSISTANT = "/ajax-api/3.0/mlflow/assistant/config"
WORKSPACE = "/api/3.0/mlflow/workspaces/team-b"


def job(experiment: str) -> dict[str, object]:
    params = {"experiment_id": experiment, "username": "victim", "trace_ids": [], "serialized_scorer": "{}"}
    return {"job_name": "invoke_scorer", "params": params}


def settings(place: str) -> dict[str, dict[str, dict[str, str]]]:
    return {"projects": {"1": {"type": "local", "location": place}}}


@pytest.fixture(scope="module")
def with_jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Stock MLflow that runs jobs, as it does by default."""
    options = ServerOptions(workspaces=False, environment={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "true"})
    with mlflow_server(tmp_path_factory.mktemp("jobs"), options) as server:
        yield World(server, {})


def test_stock_mlflow_runs_jobs_in_the_name_of_others(with_jobs: World) -> None:
    made = with_jobs.make(JOBS, job("not one of the caller's"))
    assert made["params"]["username"] == "victim"
    assert made["params"]["experiment_id"] == "not one of the caller's"


def test_nobody_submits_a_job_of_their_own_making(guarded: World, guarded_ids: dict[str, str]) -> None:
    for experiment in guarded_ids.values():
        answer = guarded.ask("POST", JOBS, json_body=job(experiment))
        assert answer.status == 403
        assert "parameters of the caller's choice" in answer.json["message"]


def test_stock_mlflow_has_one_assistant_for_all_workspaces(stock: World, tmp_path: Path) -> None:
    place = str(tmp_path)
    assert stock.ask("PUT", ASSISTANT, workspace=TEAM_A, json_body=settings(place)).status == 200
    assert stock.ask("GET", ASSISTANT, workspace=TEAM_B).json["projects"] == settings(place)["projects"]


@pytest.mark.parametrize(("method", "document"), [("GET", None), ("PUT", settings("/tmp"))])
def test_nobody_reads_or_changes_it(guarded: World, method: str, document: object) -> None:
    answer = guarded.ask(method, ASSISTANT, json_body=document)
    assert answer.status == 403
    assert "assistant" in answer.json["message"]


def test_stock_mlflow_lets_anybody_move_a_workspaces_artifacts(stock: World) -> None:
    made = stock.ask("POST", "/api/3.0/mlflow/workspaces", json_body={"name": "moved"})
    assert made.status in (200, 201)
    path = "/api/3.0/mlflow/workspaces/moved"
    answer = stock.ask("PATCH", path, workspace=TEAM_A, json_body={"default_artifact_root": "/etc"})
    assert answer.json["workspace"]["default_artifact_root"] == "/etc"


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_nobody_changes_a_workspace(guarded: World, method: str) -> None:
    for path in (WORKSPACE, "/api/3.0/mlflow/workspaces/team-a"):
        answer = guarded.ask(method, path, json_body={"default_artifact_root": "/etc"})
        assert answer.status == 403
        assert "Kubernetes" in answer.json["message"]
