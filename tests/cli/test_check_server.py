"""``check`` in a server's own environment: its stores, its passphrase, and what its URLs show to anybody."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.servers import scripted
from tests.harness.bucket import S3, s3_server
from tests.harness.database import BEFORE_WORKSPACES, older_database
from tests.harness.mlflow_database import POSTGRES, SQLITE, templates, url
from tests.harness.processes import free_port
from workspace_authz.cli.checks import server
from workspace_authz.cli.checks.finding import Level
from workspace_authz.mlflow_adapter.store.stores_check import Found, findings

__all__ = ["templates", "url"]

SEARCH = "GET /api/2.0/mlflow/experiments/search"
PASSWORD = "hunter2"


def found(**environ: str) -> dict[str, Found]:
    return {finding["check"]: finding for finding in findings(environ)}


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        server.put("s3://bucket/there", b"")
        yield server


@pytest.mark.parametrize("url", [SQLITE], indirect=True)
def test_a_database_that_is_this_releases(url: str) -> None:
    assert found(MLFLOW_BACKEND_STORE_URI=url)["database"]["level"] == "ok"


@pytest.mark.parametrize("url", [POSTGRES], indirect=True)
def test_a_driver_with_which_mlflow_cannot_do_everything(url: str) -> None:
    finding = found(MLFLOW_BACKEND_STORE_URI=url)["database"]
    assert (finding["level"], finding["fix"]) == ("warning", "write the URI as postgresql+psycopg2:")
    other = url.replace("+psycopg:", "+psycopg2:")
    assert found(MLFLOW_BACKEND_STORE_URI=other)["database"]["level"] == "ok"


def test_a_database_that_must_be_upgraded(tmp_path: Path) -> None:
    older = f"sqlite:///{tmp_path / 'mlflow.db'}"
    older_database(older, revision=BEFORE_WORKSPACES)
    finding = found(MLFLOW_BACKEND_STORE_URI=older)["database"]
    assert (finding["level"], finding["fix"]) == ("failing", "workspace-authz database upgrade")
    assert BEFORE_WORKSPACES in finding["what"]


@pytest.mark.parametrize(
    ("uri", "what"),
    [
        ("postgresql+psycopg://mlflow:hunter2@127.0.0.1:{port}/x", "it does not answer: "),
        ("mysql+mysqldb://mlflow:hunter2@127.0.0.1:{port}/x", "is not installed"),
        ("./mlruns", "no database"),
    ],
)
def test_a_database_that_cannot_be_used(uri: str, what: str) -> None:
    finding = found(MLFLOW_BACKEND_STORE_URI=uri.format(port=free_port()))["database"]
    assert finding["level"] == "failing"
    assert what in finding["what"]
    assert finding["fix"]
    assert PASSWORD not in str(finding)


def test_a_bucket_is_written_read_and_cleaned(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    finding = found(MLFLOW_ARTIFACTS_DESTINATION="s3://bucket/mlflow")["artifacts"]
    assert finding == {
        "check": "artifacts",
        "level": "ok",
        "what": "an object was written, read and deleted",
        "fix": "",
    }
    left = s3.http.request("GET", "/bucket?list-type=2", headers={"Authorization": "AWS4-HMAC-SHA256 x"})
    assert "workspace-authz-check" not in left.text
    missing = found(MLFLOW_ARTIFACTS_DESTINATION="s3://no-such-bucket/mlflow")["artifacts"]
    assert missing["level"] == "failing"
    assert "bucket of the artifact store does not exist" in missing["what"]


def test_a_directory_is_written_too(tmp_path: Path) -> None:
    assert found(MLFLOW_ARTIFACTS_DESTINATION=str(tmp_path / "new"))["artifacts"]["level"] == "ok"
    shutil.rmtree(tmp_path / "new")
    (tmp_path / "new").write_text("a file")
    assert found(MLFLOW_ARTIFACTS_DESTINATION=str(tmp_path / "new"))["artifacts"]["level"] == "failing"


def test_a_store_without_its_driver() -> None:
    finding = found(MLFLOW_ARTIFACTS_DESTINATION="sftp://host/mlflow")["artifacts"]
    assert (finding["level"], finding["fix"]) == ("failing", "pip install 'workspace-authz[server-all]'")
    assert "pysftp" in finding["what"]


@pytest.mark.parametrize(
    ("value", "level"),
    [
        (None, Level.FAILING),
        ("", Level.FAILING),
        ("mlflow-default-kek-passphrase-for-development-only", Level.FAILING),
        ("a secret of ours", Level.OK),
    ],
)
def test_a_passphrase_of_its_own(value: str | None, level: Level) -> None:
    finding = server.passphrase({} if value is None else {server.VARIABLE: value})
    assert finding.level is level
    assert "a secret of ours" not in str(finding)


@pytest.mark.parametrize(
    ("environ", "level"),
    [
        ({}, Level.OK),
        ({"MLFLOW_SERVER_ALLOWED_HOSTS": "mlflow,*"}, Level.WARNING),
        ({"MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "true"}, Level.FAILING),
    ],
)
def test_hosts(environ: dict[str, str], level: Level) -> None:
    assert server.hosts(environ).level is level


@pytest.mark.parametrize(("value", "level"), [("true", Level.OK), ("false", Level.WARNING)])
def test_who_hands_artifacts_out(value: str, level: Level) -> None:
    assert server.artifact_mode({"MLFLOW_SERVE_ARTIFACTS": value}).level is level


@pytest.mark.parametrize(
    ("version", "search", "metrics", "levels"),
    [
        (200, 401, 401, ["ok", "ok"]),
        (200, 200, 401, ["ok", "failing"]),
        (200, 401, 200, ["ok", "failing"]),
        (502, 401, 401, ["failing"]),
    ],
)
def test_a_public_url(version: int, search: int, metrics: int, levels: list[str]) -> None:
    answers: dict[str, tuple[int, Any]] = {
        "GET /version": (version, {}),
        SEARCH: (search, {}),
        "GET /metrics": (metrics, {}),
    }
    with scripted(answers) as at:
        found = asyncio.run(server.public_urls([at.url + "/"]))
    assert [finding.level for finding in found] == levels


def test_a_public_url_that_mlflow_does_not_know() -> None:
    with scripted({"GET /version": (403, "Invalid Host header - possible DNS rebinding attack")}) as at:
        (finding,) = asyncio.run(server.public_urls([at.url]))
    assert finding.level is Level.FAILING
    assert "does not answer to the host" in finding.what


def test_a_public_url_that_nobody_serves() -> None:
    (finding,) = asyncio.run(server.public_urls([f"http://127.0.0.1:{free_port()}"]))
    assert finding.level is Level.FAILING
    assert "does not answer" in finding.what
