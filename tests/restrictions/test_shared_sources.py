"""Places outside of MLflow from which models may be registered: the corners of addresses."""

from __future__ import annotations

import unicodedata
from typing import Literal

import pytest

from workspace_authz.doors.preflight import check
from workspace_authz.errors import ConfigurationError, RequestError
from workspace_authz.mlflow_adapter.options import ServerOptions
from workspace_authz.mlflow_adapter.reading.artifact_paths import canonical
from workspace_authz.mlflow_adapter.reading.places import place_of
from workspace_authz.restrictions.shared_sources import shared_sources
from workspace_authz.settings.settings import load_settings
from workspace_authz.workspaces.namespace import LONGEST_SOURCES, SOURCES_ANNOTATION, read_namespace
from workspace_authz.workspaces.policy import NamespacePolicy

AZURE = "abfss://models@account.dfs.core.windows.net"
LISTED = (
    "s3://models/shared, s3://whole, gs://models/shared/, "
    f"{AZURE}/shared, wasbs://models@account.blob.core.windows.net/shared, "
    "dbfs:/models, hdfs://namenode:8020/models, r2://models@id.r2.cloudflarestorage.com/shared"
)


@pytest.mark.parametrize(
    "source",
    [
        *("s3://models/shared", "s3://models/shared/", "s3://models/shared/fraud/1", "S3://models/shared/x"),
        *("s3://whole", "s3://whole/", "s3://whole/x", "gs://models/shared/x", "GS://models/shared/x"),
        *("s3://models/shared/date=1+2/a,b", "s3://models/shared/mod\u00e8les", "s3://models/shared/a%3Db"),
        *(f"{AZURE}/shared/x", "wasbs://models@account.blob.core.windows.net/shared/x"),
        *("dbfs:/models/x", "dbfs:///models/x", "hdfs://namenode:8020/models/x"),
        "r2://models@id.r2.cloudflarestorage.com/shared/x",
    ],
)
def test_what_lies_below_a_prefix_is_shared(source: str) -> None:
    assert shared_sources(LISTED).hold(source)


@pytest.mark.parametrize(
    "source",
    [
        # Whole segments.
        *(
            "s3://models",
            "s3://models/",
            "s3://models/share",
            "s3://models/shared-not",
            "s3://models/sharedx/y",
        ),
        *("s3://wholex/y", "s3://models.evil/shared/x", "gs://whole/x", "s3://models/SHARED/x"),
        # Up and away, however it is written.
        *(
            "s3://models/shared/../x",
            "s3://models/shared/..",
            "s3://models/shared/./x",
            "s3://models/./shared",
        ),
        *("s3://models/shared/%2e%2e/x", "s3://models/shared/%252e%252e/x", "s3://models/shared/x%2F..%2F.."),
        *(
            "s3://models/shared%2Fx",
            "s3://models/%73hared/x",
            "s3://models/%2573hared/x",
            "s3://models//shared",
        ),
        *(
            "s3://models/shared//x",
            "s3://models/shared/\\..\\x",
            "s3://models/shared/x\\",
            "s3://%6dodels/shared",
        ),
        # Somebody else's server, with credentials or without.
        *("s3://user@models/shared/x", "s3://user:password@models/shared/x", "s3://models@evil/shared/x"),
        *("s3://models:80/shared/x", "hdfs://namenode/models/x", "hdfs://namenode:8021/models/x"),
        *("hdfs://user@namenode:8020/models", "dbfs://profile@databricks/models/x", "dbfs://host/models/x"),
        *("abfss://models@evil.dfs.core.windows.net/shared/x", f"{AZURE}.evil.example/shared/x"),
        *("abfss://models@evil@account.dfs.core.windows.net/shared/x", "abfss://models/shared/x"),
        *(
            "abfss://models:p@account.dfs.core.windows.net/shared",
            "abfss://@account.dfs.core.windows.net/shared",
        ),
        # No host, no root, no text of a URL.
        *("s3:///models/shared/x", "s3:/models/shared/x", "s3:models/shared/x", "s3:", "s3://", "s3:///"),
        *("//models/shared/x", "/models/shared/x", "models/shared/x", "", "dbfs:models/x"),
        # What would be read otherwise by somebody.
        *("s3://models/shared/x?y", "s3://models/shared/x?", "s3://models/shared#x", "s3://models/shared/x#"),
        *(
            " s3://models/shared/x",
            "s3://models/shared/x ",
            "s3://models/sha\tred/x",
            "s3://models/shared/\x00",
        ),
        *(
            "s3\n://models/shared/x",
            "s3://mod\u0435ls/shared/x",
            "s3://models\u3002/shared/x",
            "s3://[models/shared",
        ),
        *("s3://models/shared\u0301/x", "s3://models\uff0fshared/x"),
        # Other schemes, which no prefix can have.
        *(
            "file:///models/shared/x",
            "file://models/shared/x",
            "http://models/shared/x",
            "https://models/shared/x",
        ),
        *(
            "ftp://models/shared/x",
            "mlflow-artifacts:/models/shared/x",
            "models:/shared/1",
            "s3a://models/shared/x",
        ),
    ],
)
def test_all_else_is_not(source: str) -> None:
    assert not shared_sources(LISTED).hold(source)


def test_nothing_is_shared_unless_it_is_listed() -> None:
    for listed in (None, "", " , "):
        assert not shared_sources(listed).hold("s3://models/shared")


@pytest.mark.parametrize(
    "prefix",
    [
        *(
            "s3://",
            "s3:",
            "s3:///models",
            "s3:models",
            "/models",
            "models",
            "file:///models",
            "https://models/x",
        ),
        *(
            "http://models",
            "ftp://host/models",
            "mlflow-artifacts:/x",
            "runs:/x",
            "models:/x",
            "*",
            "s3://*/..,",
        ),
        *(
            "s3://user@models/x",
            "s3://models/../x",
            "s3://models/a%20b",
            "s3://models/%61",
            "s3://models/x?y=z",
        ),
        *("s3://models//x", "abfss://models/x", "s3a://models/x"),
    ],
)
def test_what_can_be_no_prefix_stops_the_start(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match=r"WORKSPACE_AUTHZ_MODEL_SOURCES: .* can be no prefix"):
        shared_sources(f"gs://good/x,{prefix}")


@pytest.mark.parametrize(
    ("annotation", "left"),
    [
        (None, ("s3://models/shared/x", "gs://models/x")),
        ("", ()),
        ("s3://models/shared/x", ("s3://models/shared/x",)),
        ("s3://models", ("s3://models/shared/x",)),  # wider than the server's: nothing is added
        ("s3://models/shared/x/y", ()),
        ("s3://other", ()),
        ("s3://models/shared/x/../../..,file:///,https://models,%", ()),
        ("nonsense,gs://models/x", ("gs://models/x",)),
        ("S3://models/shared , gs://models", ("s3://models/shared/x", "gs://models/x")),
    ],
)
def test_a_namespace_can_only_narrow_the_list(annotation: str | None, left: tuple[str, ...]) -> None:
    served = shared_sources("s3://models/shared,gs://models").narrowed(annotation)
    asked = ("s3://models/shared/x", "gs://models/x", "s3://other/x", "s3://models/x")
    assert tuple(source for source in asked if served.hold(source)) == left


@pytest.mark.parametrize(
    ("value", "read"),
    [("s3://a/b", "s3://a/b"), ("", ""), (7, ""), (None, ""), ("s" * (LONGEST_SOURCES + 1), "")],
)
def test_an_annotation_that_cannot_be_used_leaves_nothing(value: object, read: str) -> None:
    item = {"metadata": {"name": "team-a", "annotations": {SOURCES_ANNOTATION: value}}}
    assert read_namespace(item, NamespacePolicy()).model_sources == read
    assert read_namespace({"metadata": {"name": "team-a"}}, NamespacePolicy()).model_sources is None


@pytest.mark.parametrize(
    ("prefix", "root"),
    [
        *(
            ("s3://bucket/mlflow", root)
            for root in ("s3://bucket/mlflow", "s3://bucket/", "S3://bucket/mlflow/x")
        ),
        *(
            ("s3://bucket", root)
            for root in ("s3://bucket/mlflow", "s3://Bucket", "r2://bucket@id.example/x")
        ),
        ("s3://bucket/x", "s3://bucket/%2e%2e"),  # what cannot be read could be anywhere
        ("s3://bucket/x", "s3://bucket/x?region=eu"),
        (f"{AZURE}/x", "wasbs://models@account.blob.core.windows.net"),
        ("wasbs://models@account.blob.core.windows.net/x/y", f"{AZURE}/x"),
        ("hdfs:///mlflow", "hdfs://namenode:8020/mlflow"),
        ("viewfs://cluster/mlflow/models", "hdfs://namenode/mlflow"),
        ("dbfs:/mlflow/x", "dbfs:/mlflow"),
    ],
)
def test_a_prefix_that_reaches_into_the_artifacts_of_all_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, prefix: str, root: str
) -> None:
    monkeypatch.setenv("WORKSPACE_AUTHZ_MODEL_SOURCES", f"gs://fine/x,{prefix}")
    for options in (_options(artifact_root=root), _options(artifacts_destination=root)):
        with pytest.raises(ConfigurationError, match=r"overlaps .* where MLflow keeps the artifacts"):
            check(options, load_settings(), environ={})


@pytest.mark.parametrize(
    "root",
    [
        None,
        "./mlartifacts",
        "/data",
        "mlflow-artifacts:/",
        "s3://bucket/mlflow2",
        "s3://other",
        "r2://other@id.example/mlflow",
    ],
)
def test_one_beside_them_does_not(monkeypatch: pytest.MonkeyPatch, root: str | None) -> None:
    monkeypatch.setenv("WORKSPACE_AUTHZ_MODEL_SOURCES", f"s3://bucket/mlflow,{AZURE}/x,dbfs:/x")
    check(_options(artifact_root=root, artifacts_destination=root), load_settings(), environ={})


def _options(**more: str | None) -> ServerOptions:
    return ServerOptions(
        server="uvicorn",
        workspaces=True,
        workspace_store_uri="kubernetes://",
        static_prefix="",
        serve_artifacts=True,
        artifacts_only=False,
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("beginning", ["s3://", "//", "s3:/\t/", " s3://"])
def test_no_host_is_normalized(monkeypatch: pytest.MonkeyPatch, beginning: str) -> None:
    """``urlsplit`` does so to one that is not ASCII: with 32,000 marks it took 7 s."""

    lengths, normalize = [0], unicodedata.normalize

    def counting(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
        lengths.append(len(text))
        return normalize(form, text)

    marks = "a" + "\u0301" * 100
    with monkeypatch.context() as patched:
        patched.setattr(unicodedata, "normalize", counting)
        with pytest.raises(RequestError):
            place_of(f"{beginning}{marks}/x", workspace="team-a")
        with pytest.raises(RequestError):
            canonical(f"{beginning.strip()}{marks}/x")
    assert max(lengths) == 0
