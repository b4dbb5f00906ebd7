"""What an ``MLflowConfig`` and its Secret are reduced to, and where that may lead."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspace_authz.errors import ConfigurationError
from workspace_authz.workspaces.artifact_roots import (
    LONGEST_PATH,
    NO_SECRET,
    WRONG_BUCKET,
    WRONG_PATH,
    WRONG_SECRET,
    ArtifactBuckets,
    Override,
    RootConfig,
    artifact_buckets,
    override,
    read_bucket,
    read_config,
)

SECRET = "mlflow-artifact-connection"
ANY = ArtifactBuckets((("data", "*"),))
PATHS = ["models", "models/v1.2", "a-b/c_d/e=f", "workspaces-of-a", "2026-q1/x", "a..b"]
TRAVERSALS = [
    "..",
    "../team-b",
    "a/../../team-b",
    "a/..",
    ".",
    "./a",
    "a/./b",
    "/a",
    "//",
    "a//b",
    "a//",
    "a\\..\\b",
    "%2e%2e/b",
    "a%2fb",
    "a b",
    "a\n",
    "a?b",
    "a#b",
    "s3://other/a",
    "a@b",
    ".hidden",
    "ä",
    "workspaces",
    "workspaces/team-b",
    "a/workspaces/team-b",
    "a/workspaces/",
    "skills/theirs",
    "a/17/artifacts",
    "0",
    "x" * (LONGEST_PATH + 1),
]


def config(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "team-a", "name": "mlflow"}, "spec": spec}


def secret(value: bytes, *, name: str = SECRET, key: str = "AWS_S3_BUCKET") -> dict[str, Any]:
    data = {"AWS_ACCESS_KEY_ID": "c2VjcmV0", key: base64.b64encode(value).decode()}
    return {"metadata": {"namespace": "team-a", "name": name}, "data": data}


@pytest.mark.parametrize("path", PATHS)
def test_a_relative_path_is_taken(path: str) -> None:
    assert read_config(config(artifactRootSecret=SECRET, artifactRootPath=path)) == RootConfig(path)
    assert read_config(config(artifactRootSecret=SECRET, artifactRootPath=f"{path}/")) == RootConfig(path)


@pytest.mark.parametrize("path", [*TRAVERSALS, 7, ["a"]])
def test_a_path_that_could_lead_elsewhere_is_none(path: object) -> None:
    found = read_config(config(artifactRootSecret=SECRET, artifactRootPath=path))
    assert found == RootConfig(problem=WRONG_PATH)


def test_without_a_path_it_is_the_bucket() -> None:
    for item in (
        config(artifactRootSecret=SECRET),
        config(artifactRootSecret=SECRET, artifactRootPath=""),
    ):
        found = read_config(item)
        assert found == RootConfig()
        assert override(found, "data", namespace="team-a", buckets=ANY) == Override(
            root="s3://data/workspaces/team-a"
        )


def test_another_secret_is_not_read_and_not_forgotten() -> None:
    for spec in ({"artifactRootSecret": "other"}, {"artifactRootPath": "a"}, {"artifactRootSecret": 1}):
        assert read_config(config(**spec)) == RootConfig(problem=WRONG_SECRET)


def test_a_config_of_another_name_or_without_a_root_leaves_it_to_the_server() -> None:
    other = config(artifactRootSecret=SECRET)
    other["metadata"]["name"] = "mine"
    for item in (other, config(), config(archiveRootSecret="x"), {"metadata": other["metadata"]}):
        assert read_config(item) is None
    assert read_config({"metadata": {"namespace": "team-a", "name": "mlflow"}, "spec": "x"}) is None


def test_of_a_secret_the_bucket_alone_is_read() -> None:
    assert read_bucket(secret(b"data")) == "data"
    assert read_bucket(secret(b"data\n")) == "data"


@pytest.mark.parametrize(
    "item",
    [
        secret(b"data", name="other"),
        secret(b"data", key="BUCKET"),
        secret(b""),
        secret(b"\xff"),
        secret(b"x" * 1000),
        {"metadata": {"name": SECRET}},
        {"metadata": {"name": SECRET}, "data": {"AWS_S3_BUCKET": "not base64"}},
        {"metadata": {"name": SECRET}, "data": {"AWS_S3_BUCKET": 7}},
    ],
)
def test_a_secret_that_names_no_bucket_names_none(item: dict[str, Any]) -> None:
    assert read_bucket(item) is None


def test_only_a_listed_bucket_counts_and_only_for_the_namespaces_beside_it() -> None:
    buckets = artifact_buckets(" data, a-data=team-a , ml=ml-*")
    assert buckets is not None

    def problem(bucket: str | None, namespace: str) -> str | None:
        return override(RootConfig("x"), bucket, namespace=namespace, buckets=buckets).problem

    assert [problem("data", "team-b"), problem("a-data", "team-a"), problem("ml", "ml-1")] == [None] * 3
    for bucket, namespace in (("a-data", "team-b"), ("ml", "team-ml-1"), ("other", "team-a")):
        assert problem(bucket, namespace) == WRONG_BUCKET
    for bucket in ("data/x", "DATA", "data ", "*", "data=", "user@data", "data?x", "../data"):
        assert problem(bucket, "team-a") == WRONG_BUCKET
    assert problem(None, "team-a") == NO_SECRET
    assert buckets.roots == ("s3://data", "s3://a-data", "s3://ml")


def test_no_setting_means_no_roots() -> None:
    assert artifact_buckets(None) is None
    assert artifact_buckets(" , ") is None


@pytest.mark.parametrize(
    "text", ["s3://data", "data/models", "-data", "a", "data=", "data=Team A", "d@ta", "=a"]
)
def test_what_can_be_no_bucket_stops_the_start(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"WORKSPACE_AUTHZ_ARTIFACT_BUCKETS: .* is no bucket"):
        artifact_buckets(f"data,{text}")


SEGMENTS = st.one_of(
    st.sampled_from(["workspaces", "skills", "team-a", "team-b", "7", "models", "..", ".", "", "%2e"]),
    st.text(alphabet="a7.-_=/%", max_size=4),
)
TEXTS = st.lists(SEGMENTS, max_size=5).map("/".join)


@given(TEXTS, TEXTS)
def test_no_root_lies_in_that_of_another_namespace_nor_in_an_experiment(ours: str, theirs: str) -> None:
    """Given one bucket and two tenants who choose any path, then no place is in both roots."""
    roots = []
    for namespace, path in (("team-a", ours), ("team-b", theirs)):
        found = read_config(config(artifactRootSecret=SECRET, artifactRootPath=path))
        assert found is not None
        roots.append(override(found, "data", namespace=namespace, buckets=ANY).root)
    first, second = roots
    if first is not None and second is not None:
        assert not f"{first}/".startswith(f"{second}/")
        assert not f"{second}/".startswith(f"{first}/")
    for root, namespace in ((first, "team-a"), (second, "team-b")):
        if root is not None:
            segments = root.removeprefix("s3://data/").split("/")
            # The first such folder is the namespace's own, and none above is one of MLflow's.
            assert segments[segments.index("workspaces") :] == ["workspaces", namespace]
            assert not {"", ".", "..", "skills"} & set(segments)
            assert not any(segment.isdigit() for segment in segments[:-1])
