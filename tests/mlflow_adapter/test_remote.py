"""MLflow asked by its REST API: what it says, what it does not say, and what is no answer of it.

The server is a stand-in, for answers that a good MLflow does not give; tests/scenarios asks a real one.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.harness.fakes import ManualClock
from tests.harness.http_server import JsonHandler, serving
from workspace_authz.catalog.model import Identifier
from workspace_authz.errors import BadRequestError, UnappliedEffectError, UnavailableError
from workspace_authz.mlflow_adapter.reading.places import place_at_path
from workspace_authz.mlflow_adapter.remote.client import LARGEST_ANSWER, MlflowAddress, MlflowApi
from workspace_authz.mlflow_adapter.remote.objects import EXPERIMENT_ID_SECONDS, MOST_LOOKUPS, RemoteObjects
from workspace_authz.mlflow_adapter.remote.release import ReleaseProbe
from workspace_authz.types import Resource

NONE = (404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "not found"})
V2, V3 = "/api/2.0/mlflow", "/api/3.0/mlflow"


@dataclass(slots=True)
class Mlflow:
    """Answers as told, by path with query; what it is not told is not found."""

    url: str = ""
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)

    def knows(self, path: str, document: Any, *, status: int = 200) -> None:
        self.answers[path] = (status, document)


@pytest.fixture(scope="module")
def told() -> Iterator[Mlflow]:
    """The server."""
    told = Mlflow()

    class Handler(JsonHandler):
        def do_GET(self) -> None:  # noqa: N802 - the interface of the standard library
            body = self.read()
            told.asked.append(self.path)
            told.headers.append({name.lower(): value for name, value in self.headers.items()})
            told.bodies.append(json.loads(body) if body else None)
            status, document = told.answers.get(self.path, NONE)
            content = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - the same

    with serving(Handler) as url:
        told.url = url
        yield told


@pytest.fixture
def mlflow(told: Mlflow) -> Mlflow:
    """The server, which has been told and asked nothing."""
    for kept in (told.answers, told.asked, told.headers, told.bodies):
        kept.clear()
    return told


@pytest.fixture
async def api(mlflow: Mlflow) -> AsyncIterator[MlflowApi]:
    api = MlflowApi(MlflowAddress(mlflow.url))
    yield api
    await api.close()


@pytest.fixture
def objects(api: MlflowApi, clock: ManualClock) -> RemoteObjects:
    return RemoteObjects(api, workspaces=True, monotonic=clock.monotonic)


def experiment(mlflow: Mlflow, key: str, name: str) -> None:
    document = {"experiment": {"experiment_id": key, "name": name}}
    mlflow.knows(f"{V2}/experiments/get?experiment_id={key}", document)


async def names(objects: RemoteObjects, identifier: Identifier, *values: str) -> dict[str, str]:
    found = await objects.names(
        values, resource=Resource.EXPERIMENTS, identifier=identifier, workspace="team-a"
    )
    return dict(found)


async def test_an_object_has_the_name_of_its_experiment(mlflow: Mlflow, objects: RemoteObjects) -> None:
    """Given a run, then MLflow is asked in the workspace, and its experiment a while later only by name."""
    experiment(mlflow, "7", "fraud")
    mlflow.knows(f"{V2}/runs/get?run_id=r1", {"run": {"info": {"run_id": "r1", "experiment_id": "7"}}})
    assert await names(objects, Identifier.RUN_ID, "r1", "r2") == {"r1": "fraud"}
    assert {each["x-mlflow-workspace"] for each in mlflow.headers} == {"team-a"}
    experiment(mlflow, "7", "renamed")
    mlflow.asked.clear()
    assert await names(objects, Identifier.RUN_ID, "r1") == {"r1": "renamed"}
    assert mlflow.asked == [f"{V2}/experiments/get?experiment_id=7"]


async def test_an_experiment_is_remembered_for_seconds(
    mlflow: Mlflow, objects: RemoteObjects, clock: ManualClock
) -> None:
    experiment(mlflow, "7", "fraud")
    mlflow.knows(f"{V2}/runs/get?run_id=r1", {"run": {"info": {"run_id": "r1", "experiment_id": "7"}}})
    await names(objects, Identifier.RUN_ID, "r1")
    clock.advance(EXPERIMENT_ID_SECONDS)
    mlflow.asked.clear()
    await names(objects, Identifier.RUN_ID, "r1")
    assert f"{V2}/runs/get?run_id=r1" in mlflow.asked


async def test_an_answer_about_another_object_is_none(mlflow: Mlflow, objects: RemoteObjects) -> None:
    """MLflow reads "007" as 7, and databases may ignore case: just the spelling that it prints counts."""
    mlflow.knows(
        f"{V2}/experiments/get?experiment_id=007", {"experiment": {"experiment_id": "7", "name": "fraud"}}
    )
    assert await names(objects, Identifier.EXPERIMENT_ID, "007") == {}


@pytest.mark.parametrize("value", ["", "x" * 257, "a\0b", "a/b", "..", "a?b", "é"])
async def test_what_can_be_no_id_is_not_asked_about(
    mlflow: Mlflow, objects: RemoteObjects, value: str
) -> None:
    assert await names(objects, Identifier.LOGGED_MODEL_ID, value) == {}
    assert mlflow.asked == []


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (500, {"error_code": "INTERNAL_ERROR"}),
        (404, b"<html>no such page</html>"),
        (404, {"error_code": "ENDPOINT_NOT_FOUND"}),
        (401, {"error_code": "UNAUTHENTICATED"}),
        (200, b"no json"),
        (200, [1]),
        (302, {}),
        (200, b" " * (LARGEST_ANSWER + 1)),
    ],
)
async def test_anything_else_is_no_answer(
    mlflow: Mlflow, objects: RemoteObjects, status: int, document: Any
) -> None:
    """Given a page of a proxy, an error or a flood in the place of an answer, then there is no decision."""
    mlflow.knows(f"{V2}/runs/get?run_id=r1", document, status=status)
    with pytest.raises(UnavailableError, match="MLflow gave no answer"):
        await names(objects, Identifier.RUN_ID, "r1")


async def test_mlflow_that_is_away_is_no_answer(clock: ManualClock) -> None:
    api = MlflowApi(MlflowAddress("http://127.0.0.1:1"))
    with pytest.raises(UnavailableError):
        await names(RemoteObjects(api, workspaces=True, monotonic=clock.monotonic), Identifier.RUN_ID, "r1")
    await api.close()


async def test_traces_are_asked_about_together(mlflow: Mlflow, objects: RemoteObjects) -> None:
    experiment(mlflow, "7", "fraud")
    location = {"mlflow_experiment": {"experiment_id": "7"}}
    metadata = {"mlflow.gateway.endpointId": "e-1"}
    infos = [
        {"trace_id": "tr-1", "trace_location": location},
        {"trace_id": "tr-2", "trace_location": location, "trace_metadata": metadata},
    ]
    mlflow.knows(f"{V3}/traces/batchGetInfos", {"trace_infos": infos})
    found = await names(objects, Identifier.NEW_TRACE_ID, "tr-1", "tr/../x")
    assert found == {"tr-1": "fraud"}
    assert mlflow.bodies[0] == {"trace_ids": ["tr-1", "tr/../x"]}
    recorded = await objects.names(
        ["tr-1", "tr-2"],
        resource=Resource.GATEWAY_ENDPOINTS,
        identifier=Identifier.GATEWAY_TRACE_ID,
        workspace="team-a",
    )
    assert recorded == {"tr-2": "e-1"}


@pytest.mark.parametrize("infos", [[1], 3, [{"trace_location": 1}]])
async def test_traces_that_cannot_be_read_may_be_there(
    mlflow: Mlflow, objects: RemoteObjects, infos: Any
) -> None:
    """Given an answer of another form, then a trace does not count as new."""
    mlflow.knows(f"{V3}/traces/batchGetInfos", {"trace_infos": infos})
    with pytest.raises(UnavailableError):
        await names(objects, Identifier.NEW_TRACE_ID, "tr-1")


async def test_one_request_pays_for_so_many_look_ups(mlflow: Mlflow, objects: RemoteObjects) -> None:
    with pytest.raises(BadRequestError, match="At most"):
        await names(objects, Identifier.RUN_ID, *map(str, range(MOST_LOOKUPS + 1)))
    assert mlflow.asked == []


@pytest.mark.parametrize("identifier", [Identifier.SCORER_ID, Identifier.JOB_ID])
async def test_what_the_api_does_not_resolve_is_said(objects: RemoteObjects, identifier: Identifier) -> None:
    with pytest.raises(UnappliedEffectError, match="does not say"):
        await names(objects, identifier, "x")


async def test_lists_ask_for_nothing(mlflow: Mlflow, objects: RemoteObjects) -> None:
    assert await objects.named(Resource.EXPERIMENTS, [], workspace="team-a") == {}
    with pytest.raises(UnappliedEffectError, match="lists are not kept to them here"):
        await objects.named(Resource.EXPERIMENTS, ["fraud"], workspace="team-a")
    mlflow.knows(f"{V3}/skills/@acme/reviewer", {"name": "reviewer"})
    found = await objects.named(Resource.SKILLS, ["@acme/reviewer", "other"], workspace="team-a")
    assert found == {"@acme/reviewer": "@acme/reviewer"}


async def test_the_servers_own_token_is_read_anew(mlflow: Mlflow, tmp_path: Path) -> None:
    file = tmp_path / "token"
    api = MlflowApi(MlflowAddress(mlflow.url, str(file)))
    for token in ("first", "second"):
        file.write_text(f"{token}\n")
        await api.ask("GET", "/version")
    await api.close()
    assert [each["authorization"] for each in mlflow.headers] == ["Bearer first", "Bearer second"]


# The places of artifacts.


def located(mlflow: Mlflow, *experiments: tuple[int, str]) -> None:
    shown = [
        {"experiment_id": str(number), "artifact_location": location} for number, location in experiments
    ]
    mlflow.knows(f"{V2}/experiments/search", {"experiments": shown})


async def at(objects: RemoteObjects, path: str) -> set[str]:
    place = place_at_path(path, workspace="team-a")
    return set(await objects.experiments_at(place, workspace="team-a"))


async def test_a_place_is_of_the_experiment_with_the_longest_location(
    mlflow: Mlflow, objects: RemoteObjects
) -> None:
    experiment(mlflow, "1", "outer")
    experiment(mlflow, "2", "inner")
    located(mlflow, (2, "mlflow-artifacts:/1/inner"), (1, "mlflow-artifacts:/workspaces/team-a/1"))
    assert await at(objects, "1/model.pkl") == {"outer"}
    assert await at(objects, "1/inner/model.pkl") == {"inner"}
    assert await at(objects, "1") == {"outer", "inner"}
    assert await at(objects, "3/model.pkl") == set()


async def test_an_experiment_that_was_just_made_is_found_at_once(
    mlflow: Mlflow, objects: RemoteObjects
) -> None:
    """Given a list in memory, then what is newer than it is added at each look-up."""
    experiment(mlflow, "1", "outer")
    experiment(mlflow, "2", "inner")
    located(mlflow, (1, "mlflow-artifacts:/1"))
    assert await at(objects, "1/inner/x") == {"outer"}
    located(mlflow, (2, "mlflow-artifacts:/1/inner"), (1, "mlflow-artifacts:/1"))
    assert await at(objects, "1/inner/x") == {"inner"}


# Which MLflow it is.


async def probed(api: MlflowApi, clock: ManualClock, *, beats: int = 1, workspaces: bool = True) -> str:
    probe = ReleaseProbe(api, workspaces=workspaces, clock=clock, installed="3.17.2")
    for _ in range(beats):
        await probe.beat()
    return probe.problem or ""


async def test_the_release_must_be_the_installed_one(
    mlflow: Mlflow, api: MlflowApi, clock: ManualClock
) -> None:
    mlflow.knows(f"{V3}/server-info", {"workspaces_enabled": True})
    for release, problem in (
        (b"3.17.2", ""),
        (b"3.17.9", ""),
        (b"3.18.0", "3.18.0"),
        (b"<html>", "not answer"),
    ):
        mlflow.knows("/version", release)
        assert problem in await probed(api, clock)
        assert bool(problem) is bool(await probed(api, clock))


async def test_workspaces_must_agree(mlflow: Mlflow, api: MlflowApi, clock: ManualClock) -> None:
    mlflow.knows("/version", b"3.17.2")
    for enabled in (True, False):
        mlflow.knows(f"{V3}/server-info", {"workspaces_enabled": enabled})
        assert await probed(api, clock, workspaces=enabled) == ""
        assert "WORKSPACE_AUTHZ_NAMESPACE" in await probed(api, clock, workspaces=not enabled)


async def test_a_restart_is_no_problem_yet(mlflow: Mlflow, api: MlflowApi, clock: ManualClock) -> None:
    """Given MLflow that has answered, then it may fail twice in a row."""
    mlflow.knows("/version", b"3.17.2")
    mlflow.knows(f"{V3}/server-info", {"workspaces_enabled": True})
    probe = ReleaseProbe(api, workspaces=True, clock=clock, installed="3.17.2")
    assert probe.problem is not None
    await probe.beat()
    mlflow.knows("/version", b"bad gateway", status=502)
    problems = []
    for _ in range(3):
        problems.append(probe.problem)
        await probe.beat()
    assert problems == [None, None, None]
    assert "does not answer" in (probe.problem or "")
