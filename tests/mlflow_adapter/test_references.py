"""Texts that refer to objects have one strict reading, or none."""

from __future__ import annotations

import json

import pytest
from mlflow.store.artifact.utils.models import _parse_model_uri

from workspace_authz.catalog.model import Identifier
from workspace_authz.errors import BadRequestError, ForbiddenError, RequestError
from workspace_authz.mlflow_adapter.reading.places import PROXIED, Place
from workspace_authz.mlflow_adapter.reading.references import Reference, artifact_place, references
from workspace_authz.types import Resource

RUN, MODEL = "a" * 32, "m-" + "b" * 32
E, M = Resource.EXPERIMENTS, Resource.REGISTERED_MODELS


def source(resource: Resource, uri: str) -> tuple[Reference, ...]:
    return references(uri, resource=resource, identifier=Identifier.MODEL_SOURCE_URI)


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
    return references(text, resource=Resource.GATEWAY_ENDPOINTS, identifier=Identifier.GATEWAY_MODEL_URI)


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


def place(text: str, kind: Identifier = Identifier.ARTIFACT_PATH, workspace: str | None = "team-a") -> Place:
    found = artifact_place(text, identifier=kind, workspace=workspace)
    assert found is not None
    return found


def test_an_artifact_path_is_a_place_below_the_proxy() -> None:
    for path in ("7/run/a.txt", "workspaces/team-a/7/run/a.txt", "7/run/%61.txt"):
        assert place(path) == Place(PROXIED, "", ("7", "run", "a.txt"))


@pytest.mark.parametrize("path", ["8/../7", "./7", "8//7", "7\\..\\8", "7/%252e%252e/8", "/7", ""])
def test_an_artifact_path_that_could_be_read_otherwise_is_refused(path: str) -> None:
    with pytest.raises(RequestError):
        place(path)


def test_an_artifact_path_of_another_workspace_is_refused() -> None:
    for path, workspace in (("workspaces/team-b/7", "team-a"), ("workspaces/team-a/7", None)):
        with pytest.raises(ForbiddenError):
            place(path, workspace=workspace)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://bucket/a/b/", Place("s3", "bucket", ("a", "b"))),
        ("S3://bucket/a%2Fb", Place("s3", "bucket", ("a", "b"))),
        ("s3://bucket", Place("s3", "bucket", ())),
        ("file:///data/1", Place("", "", ("data", "1"))),
        ("/data/1", Place("", "", ("data", "1"))),
        ("mlflow-artifacts:/workspaces/team-a/7", Place(PROXIED, "", ("7",))),
        ("mlflow-artifacts://host:5000/7/a b", Place(PROXIED, "", ("7", "a b"))),
        ("mlflow-artifacts:/", Place(PROXIED, "", ())),
        ("https://host/mlflow/api/2.0/mlflow-artifacts/artifacts/7/x", Place(PROXIED, "", ("7", "x"))),
        ("https://host/7", Place("https", "host", ("7",))),
    ],
)
@pytest.mark.parametrize("kind", [Identifier.MODEL_SOURCE_URI, Identifier.ARTIFACT_LOCATION])
def test_a_uri_is_a_place(uri: str, expected: Place, kind: Identifier) -> None:
    assert place(uri, kind) == expected


@pytest.mark.parametrize(
    "uri",
    [
        "s3://b/a/../c",
        "s3://b/%2e%2e/c",
        "s3://b/a//c",
        "s3://b/a?x",
        "s3://b/a#x",
        " s3://b/a",
        "s3://b/a b",
    ],
)
def test_a_uri_that_could_be_read_otherwise_is_no_place(uri: str) -> None:
    with pytest.raises(BadRequestError, match="source or location is refused"):
        place(uri, Identifier.MODEL_SOURCE_URI)


def test_runs_models_and_prompts_are_no_places() -> None:
    for text in (f"runs:/{RUN}/model", "models:/fraud/1", " MODELS:/fraud/1", "prompt-template"):
        assert artifact_place(text, identifier=Identifier.MODEL_SOURCE_URI, workspace="team-a") is None


def test_other_identifiers_refer_to_themselves() -> None:
    assert references(RUN, resource=E, identifier=Identifier.RUN_ID) == ((Identifier.RUN_ID, RUN),)


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
    assert references(name, resource=Resource.EXPERIMENTS, identifier=Identifier.ISSUE_MENTION) == expected
