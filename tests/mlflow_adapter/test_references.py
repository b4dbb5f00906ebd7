"""Texts that refer to objects have one strict reading, or none."""

from __future__ import annotations

import json

import pytest
from mlflow.store.artifact.utils.models import _parse_model_uri

from workspace_authz.catalog.model import Identifier
from workspace_authz.errors import BadRequestError, ForbiddenError, RequestError
from workspace_authz.mlflow_adapter.reading.references import Reference, references
from workspace_authz.types import Resource

RUN, MODEL = "a" * 32, "m-" + "b" * 32
E, M = Resource.EXPERIMENTS, Resource.REGISTERED_MODELS


def source(resource: Resource, uri: str) -> tuple[Reference, ...]:
    return references(uri, resource=resource, identifier=Identifier.MODEL_SOURCE_URI, workspace="team-a")


@pytest.mark.parametrize(
    ("uri", "of_experiments", "of_models"),
    [
        (f"runs:/{RUN}/model", ((Identifier.RUN_ID, RUN),), ()),
        (f"runs:/{RUN}/a/b", ((Identifier.RUN_ID, RUN),), ()),
        (f"models:/{MODEL}", ((Identifier.LOGGED_MODEL_ID, MODEL),), ()),
        ("models:/fraud/1", (), ((Identifier.NAME, "fraud"),)),
        ("models:/fraud/latest", (), ((Identifier.NAME, "fraud"),)),
        ("models:/fraud model@best", (), ((Identifier.NAME, "fraud model"),)),
    ],
)
def test_a_source_refers_to_a_run_a_logged_model_or_a_registered_model(
    uri: str, of_experiments: tuple[Reference, ...], of_models: tuple[Reference, ...]
) -> None:
    assert source(E, uri) == of_experiments
    assert source(M, uri) == of_models


@pytest.mark.parametrize("uri", ["models:/fraud/1", "models:/fraud@best", f"models:/{MODEL}"])
def test_mlflow_reads_the_same_in_a_source(uri: str) -> None:
    parsed = _parse_model_uri(uri)
    ((_, found),) = source(M, uri) or source(E, uri)
    assert found == (parsed.name or parsed.model_id)


@pytest.mark.parametrize(
    "uri",
    [
        "models:/fr\taud/1",
        " models:/fraud/1",
        "MODELS:/fraud/1",
        "models://fraud/1",
        "models:/fraud/1/2",
        "models:/fraud",
        "models:/fraud%2F/1",
        "models:/fraud/1?x",
        "models:/a@b@c",
        f"runs:/{RUN}",
        f"runs:/../{RUN}/model",
        f"runs://{RUN}/model",
        f"RUNS:/{RUN}/model",
    ],
)
def test_a_source_that_could_be_read_otherwise_is_refused(uri: str) -> None:
    for resource in (E, M):
        with pytest.raises(BadRequestError):
            source(resource, uri)


def gateway(text: str) -> tuple[Reference, ...]:
    return references(
        text, resource=Resource.GATEWAY_ENDPOINTS, identifier=Identifier.GATEWAY_MODEL_URI, workspace="team-a"
    )


def test_a_scorer_refers_to_every_endpoint_in_it() -> None:
    text = json.dumps({"a": {"model": "gateway:/one"}, "b": ["gateway:/two", "gateway:/one", "other"]})
    assert sorted(gateway(text)) == [(Identifier.NAME, "one"), (Identifier.NAME, "two")]
    assert gateway('{"model": "\\u0067ateway:\\/one"}') == ((Identifier.NAME, "one"),)
    assert gateway("gateway:/one") == ((Identifier.NAME, "one"),)
    assert gateway('{"model": "openai:/gpt"}') == ()


@pytest.mark.parametrize(
    "model",
    [
        "gateway:/",
        "gateway://one",
        "gateway:/one/two",
        "GATEWAY:/one",
        "x gateway:/one",
        '{"m":"gateway:/a"}',
    ],
)
def test_an_endpoint_that_could_be_read_otherwise_is_refused(model: str) -> None:
    with pytest.raises(BadRequestError):
        gateway(json.dumps({"model": model}))
    with pytest.raises(BadRequestError):
        gateway(json.dumps({f"{model} as a key": 1}))


def artifact(path: str, workspace: str | None = "team-a") -> tuple[Reference, ...]:
    return references(path, resource=E, identifier=Identifier.ARTIFACT_PATH, workspace=workspace)


def test_an_artifact_path_refers_to_its_experiment() -> None:
    for path in ("7/run/artifacts/a.txt", "workspaces/team-a/7/run", "7"):
        assert artifact(path) == ((Identifier.EXPERIMENT_ID, "7"),)


@pytest.mark.parametrize("path", ["8/../7", "./7", "8//7", "7\\..\\8", "7/%252e%252e/8", "/7", ""])
def test_an_artifact_path_that_could_be_read_otherwise_is_refused(path: str) -> None:
    with pytest.raises(RequestError):
        artifact(path)


def test_an_artifact_path_of_another_workspace_is_refused() -> None:
    for path, workspace in (("workspaces/team-b/7", "team-a"), ("workspaces/team-a/7", None)):
        with pytest.raises(ForbiddenError):
            artifact(path, workspace)


def test_other_identifiers_refer_to_themselves() -> None:
    assert references(RUN, resource=E, identifier=Identifier.RUN_ID, workspace=None) == (
        (Identifier.RUN_ID, RUN),
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("iss-1", ((Identifier.ISSUE_ID, "iss-1"),)),
        ("ISS-1", ((Identifier.ISSUE_ID, "ISS-1"),)),
        ("good", ()),
    ],
)
def test_the_name_of_an_assessment_may_be_an_issues_id(
    name: str, expected: tuple[tuple[Identifier, str], ...]
) -> None:
    assert (
        references(
            name, resource=Resource.EXPERIMENTS, identifier=Identifier.ISSUE_MENTION, workspace="team-a"
        )
        == expected
    )
