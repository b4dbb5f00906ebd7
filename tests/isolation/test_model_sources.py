"""A model version comes from its own workspace."""

from __future__ import annotations

import secrets

import pytest

from tests.harness.http import Answer
from tests.isolation.world import DEFAULT, World
from tests.scenarios.people import TEAM_A, TEAM_B
from workspace_authz.errors import RequestError
from workspace_authz.restrictions.model_sources import Allowed, check_source

CREATE = "/api/2.0/mlflow/model-versions/create"

FOREIGN = [
    "s3://somebody-elses-bucket/model",
    "S3://somebody-elses-bucket/model",
    "gs://bucket/model",
    "wasbs://container@account.blob.core.windows.net/model",
    "hdfs://host/model",
    "dbfs:/model",
    "http://127.0.0.1:1/api/2.0/mlflow-artifacts/artifacts/workspaces/team-b/2/model",
    "https://example.com/model",
    "ftp://example.com/model",
    "file:///etc",
    "/etc",
    "model",
    " s3://bucket/model",
    "\ts3://bucket/model",
    "mlflow-artifacts:/workspaces/team-b/2/model",
    "mlflow-artifacts:/./workspaces/team-b/2/model",
    "mlflow-artifacts:/%77orkspaces/team-b/2/model",
    "mlflow-artifacts:/workspaces",
    "mlflow-artifacts:/",
]


def registered(world: World, workspace: str = TEAM_A) -> str:
    """The name of a new registered model."""
    name = f"model-{secrets.token_hex(4)}"
    world.make("/api/2.0/mlflow/registered-models/create", {"name": name}, workspace=workspace)
    return name


def version(world: World, source: object, *, workspace: str = TEAM_A, **more: str) -> Answer:
    document = {"name": registered(world, workspace), "source": source, **more}
    return world.ask("POST", CREATE, workspace=workspace, json_body=document)


def run(world: World, experiment: str, workspace: str = TEAM_A) -> dict[str, str]:
    """A new run's id and artifact URI."""
    made = world.make(
        "/api/2.0/mlflow/runs/create", {"experiment_id": experiment, "start_time": 1}, workspace=workspace
    )
    info: dict[str, str] = made["run"]["info"]
    return info


def test_stock_mlflow_takes_any_bucket_and_opens_it_as_itself(stock: World) -> None:
    answer = version(stock, "s3://somebody-elses-bucket/model")
    assert answer.status == 200
    assert answer.json["model_version"]["source"] == "s3://somebody-elses-bucket/model"


@pytest.mark.parametrize("source", FOREIGN)
def test_a_source_elsewhere_is_refused(guarded: World, source: str) -> None:
    for workspace in (TEAM_A, DEFAULT):
        answer = version(guarded, source, workspace=workspace)
        assert answer.status in (400, 403)
        assert "source" in answer.json["message"] or "artifact path" in answer.json["message"]


def test_a_source_that_is_no_text_is_refused(guarded: World) -> None:
    assert version(guarded, ["s3://bucket/model"]).status == 400


@pytest.mark.parametrize("workspace", [TEAM_A, DEFAULT])
def test_runs_models_and_artifacts_of_the_workspace_are_sources(
    guarded: World, guarded_ids: dict[str, str], workspace: str
) -> None:
    info = run(guarded, guarded_ids[workspace], workspace)
    for source in (f"runs:/{info['run_id']}/model", f"{info['artifact_uri']}/model"):
        answer = version(guarded, source, workspace=workspace, run_id=info["run_id"])
        assert answer.status == 200, answer.text
    made = answer.json["model_version"]
    copied = version(guarded, f"models:/{made['name']}/{made['version']}", workspace=workspace)
    assert copied.status == 200, copied.text


def test_those_of_another_workspace_are_not(guarded: World, guarded_ids: dict[str, str]) -> None:
    info = run(guarded, guarded_ids[TEAM_B], TEAM_B)
    made = version(guarded, f"runs:/{info['run_id']}/m", workspace=TEAM_B, run_id=info["run_id"])
    foreign = made.json["model_version"]["name"]
    for source in (f"{info['artifact_uri']}/m", f"models:/{foreign}/1"):
        # 500: what MLflow 3.16 makes of a version that is not there.
        assert version(guarded, source, run_id=info["run_id"]).status in (400, 403, 404, 500)
        assert version(guarded, source).status in (400, 403, 404, 500)


def of_team_b(world: World, ids: dict[str, str]) -> tuple[str, str]:
    """The ids of a run and of a logged model."""
    made = world.make("/api/2.0/mlflow/logged-models", {"experiment_id": ids[TEAM_B]}, workspace=TEAM_B)
    return run(world, ids[TEAM_B], TEAM_B)["run_id"], made["model"]["info"]["model_id"]


def test_stock_mlflow_takes_the_run_of_another_workspace(stock: World, stock_ids: dict[str, str]) -> None:
    """It compares such a source with the run id beside it, and looks for the run when it is read."""
    foreign, _ = of_team_b(stock, stock_ids)
    answer = version(stock, f"runs:/{foreign}/m", run_id=foreign)
    assert answer.json["model_version"]["run_id"] == foreign


@pytest.mark.parametrize("workspace", [TEAM_A, DEFAULT])
def test_no_version_comes_from_the_run_or_model_of_another_workspace(
    guarded: World, guarded_ids: dict[str, str], workspace: str
) -> None:
    told = set()
    for found, model in (of_team_b(guarded, guarded_ids), ("f" * 32, f"m-{'f' * 32}")):
        answers = [
            version(guarded, f"runs:/{found}/m", workspace=workspace, run_id=found),
            version(guarded, f"runs:/{found}/m", workspace=workspace, runId=found),
            version(guarded, f"runs:/{found}/m", workspace=workspace),
            version(guarded, f"models:/{model}", workspace=workspace, model_id=model),
            version(guarded, f"models:/{model}", workspace=workspace),
        ]
        assert [answer.status for answer in answers] == [403] * len(answers)
        told |= {answer.text for answer in answers}
    assert len(told) == 1


@pytest.mark.parametrize("tags", [[], [{"key": "mlflow.prompt.is_prompt", "value": "true"}]])
def test_nor_does_a_prompt(guarded: World, guarded_ids: dict[str, str], tags: list[dict[str, str]]) -> None:
    foreign, model = of_team_b(guarded, guarded_ids)
    for field, value in (("run_id", foreign), ("model_id", model)):
        document = {"name": registered(guarded), "source": "prompt-template", "tags": tags, field: value}
        assert guarded.ask("POST", CREATE, json_body=document).status == 403


def test_its_own_logged_model_is_a_source(guarded: World, guarded_ids: dict[str, str]) -> None:
    made = guarded.make("/api/2.0/mlflow/logged-models", {"experiment_id": guarded_ids[TEAM_A]})
    model = made["model"]["info"]["model_id"]
    assert version(guarded, f"models:/{model}", model_id=model).status == 200


def test_prompts_have_no_source(guarded: World) -> None:
    tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}, {"key": "mlflow.prompt.text", "value": "x"}]
    made = {"name": f"prompt-{secrets.token_hex(4)}", "tags": tags[:1]}
    guarded.make("/api/2.0/mlflow/registered-models/create", made)
    document = {"name": made["name"], "source": "prompt-template", "tags": tags}
    assert guarded.ask("POST", CREATE, json_body=document).status == 200


S3 = "s3://bucket/mlflow"


@pytest.mark.parametrize(
    ("source", "root", "workspace"),
    [
        (f"{S3}/workspaces/team-a/1/run/artifacts/model", S3, TEAM_A),
        (f"{S3}/workspaces/team-a/1/model/", f"{S3}/", TEAM_A),
        (f"{S3}/1/model", S3, DEFAULT),
        (f"{S3}/1/model", S3, None),
        ("s3://bucket/1/model", "s3://bucket", None),
        ("/data/mlruns/workspaces/team-a/1/model", "/data/mlruns", TEAM_A),
        ("file:///data/mlruns/workspaces/team-a/1/model", "/data/mlruns", TEAM_A),
        ("dbfs:/mlflow/workspaces/team-a/1", "dbfs:/mlflow", TEAM_A),
    ],
)
async def test_the_workspaces_part_of_the_artifact_root_is_its_own(
    source: str, root: str, workspace: str | None
) -> None:
    await check_source(source, allowed=Allowed(root), workspace=workspace, store=None)


@pytest.mark.parametrize("workspace", [TEAM_A, DEFAULT, None])
@pytest.mark.parametrize(
    "source",
    [
        f"{S3}/workspaces/team-b/1/model",
        f"{S3}/workspaces",
        f"{S3}/workspaces/",
        S3,
        "s3://bucket/mlflow-of-others/1/model",
        "s3://bucket/1/model",
        "s3://other/mlflow/1/model",
        "s3:/bucket/mlflow/1/model",
        "gs://bucket/mlflow/1/model",
        f"{S3}//1/model",
        f"{S3}/./workspaces/team-b/1",
        f"{S3}/1/../workspaces/team-b/1",
        f"{S3}/1/%2e%2e/workspaces/team-b/1",
        f"{S3}/1/%252e%252e/workspaces/team-b/1",
        f"{S3}/workspaces/team-a/../team-b/1",
        f"{S3}/1?versionId=2",
        f"{S3}/1#x",
        f"{S3}/workspaces%2Fteam-b/1",
        f"{S3}\\1",
        "",
    ],
)
async def test_the_rest_of_the_artifact_root_is_not(source: str, workspace: str | None) -> None:
    with pytest.raises(RequestError):
        await check_source(source, allowed=Allowed(S3), workspace=workspace, store=None)


async def test_without_an_artifact_root_no_bucket_is_anybodys() -> None:
    with pytest.raises(RequestError):
        await check_source(f"{S3}/1/model", allowed=Allowed(), workspace=None, store=None)
