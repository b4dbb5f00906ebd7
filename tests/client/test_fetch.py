"""``workspace-authz fetch`` against a server that lies and breaks; the scenarios have a real one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.client.fake_mlflow import ROOT, TOKEN, FakeMlflow, fake_mlflow
from tests.harness.http_server import serving
from workspace_authz.client.fetch.address import (
    LoggedModelAddress,
    ModelAddress,
    RunAddress,
    parse_address,
)
from workspace_authz.client.fetch.fetching import fetch
from workspace_authz.client.fetch.outcome import Exit, FetchError
from workspace_authz.client.fetch.server import ATTEMPTS, TrackingServer
from workspace_authz.client.fetch.staging import MANIFEST, STAGING
from workspace_authz.devplane.pki import create_pki
from workspace_authz.errors import ConfigurationError

MIB = 1024 * 1024
FILES = {"MLmodel": b"flavors: {}", "data/a.bin": os.urandom(3 * MIB), "data/b.bin": b"b" * 10}


@pytest.fixture
def mlflow() -> Iterator[FakeMlflow]:
    with fake_mlflow(dict(FILES)) as server:
        yield server


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def mount_point(models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that cannot be replaced, as KServe's."""
    models.mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == models)
    return models


@contextmanager
def tls_server(state: Path) -> Iterator[str]:
    """Something that speaks TLS, with a certificate of an authority that nobody knows."""
    pki = create_pki(state)
    with serving(BaseHTTPRequestHandler, certificate=(pki.serving_cert, pki.serving_key)) as url:
        yield url


def get(server: FakeMlflow, directory: Path, path: str = "") -> list[str]:
    """Fetch, and return what was told."""
    told: list[str] = []
    fetch(server.client(), parse_address(f"mlflow://runs/run/{path}"), directory=directory, tell=told.append)
    return told


def fails(server: FakeMlflow, directory: Path, path: str = "") -> FetchError:
    """The error of a fetch that must fail."""
    with pytest.raises(FetchError) as caught:
        get(server, directory, path)
    assert TOKEN not in str(caught.value)
    return caught.value


def content(directory: Path) -> dict[str, bytes]:
    """Every file, but the note of what was fetched."""
    return {
        str(file.relative_to(directory)): file.read_bytes()
        for file in directory.rglob("*")
        if file.is_file() and file.name != MANIFEST
    }


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("mlflow://models/fraud/3", ModelAddress(name="fraud", version="3")),
        ("mlflow://models/a%20b%2Ec/latest", ModelAddress(name="a b.c", stage="latest")),
        ("mlflow://models/fraud/Production", ModelAddress(name="fraud", stage="Production")),
        ("mlflow://models/fraud/staging/", ModelAddress(name="fraud", stage="Staging")),
        ("mlflow://models/fraud@champion", ModelAddress(name="fraud", alias="champion")),
        ("mlflow://models/a@b@c", ModelAddress(name="a@b", alias="c")),
        (f"mlflow://models/m-{'0' * 32}", LoggedModelAddress(model_id=f"m-{'0' * 32}")),
        ("mlflow://runs/abc/artifacts/model/a%2Bb", RunAddress(run_id="abc", path="model/a+b")),
        ("mlflow://runs/abc/model", RunAddress(run_id="abc", path="model")),
        ("mlflow://runs/abc", RunAddress(run_id="abc", path="")),
    ],
)
def test_addresses(uri: str, target: object) -> None:
    assert parse_address(uri).target == target
    assert parse_address(f"{uri}?workspace=team-b").workspace == "team-b"


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/model",
        "mlflow://",
        "mlflow://models/",
        "mlflow://models/fraud",
        "mlflow://models/fraud/champion",
        "mlflow://models/fraud/3/data",
        "mlflow://models/fraud@",
        "mlflow://models/%2e%2e/3",
        "mlflow://models/a%2Fb/3",
        "mlflow://runs/abc/../other",
        "mlflow://runs/abc/a%00b",
        "mlflow://runs/abc//model",
        "mlflow://elsewhere/abc",
        "mlflow://models/fraud/3?workspace=",
        "mlflow://models/fraud/3?workspace=a&token=b",
    ],
)
def test_what_is_no_address(uri: str) -> None:
    with pytest.raises(FetchError) as caught:
        parse_address(uri)
    assert caught.value.status == Exit.CONFIGURATION


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "..", ".", "", "/etc/passwd", "a/b", "a\\b", "a\0b", "n" * 256, None, MANIFEST],
)
def test_a_list_with_names_that_lead_elsewhere_is_refused(
    mlflow: FakeMlflow, models: Path, name: str | None
) -> None:
    mlflow.listed = [{"path": name, "is_dir": False, "file_size": 3}]
    assert fails(mlflow, models).status == Exit.UNVERIFIED
    assert os.listdir(models.parent) == []
    assert mlflow.paths == []


def test_a_list_without_end_is_refused(mlflow: FakeMlflow, models: Path) -> None:
    """Given a folder that is in itself, as it seems, then this ends."""
    mlflow.listed = [{"path": "again", "is_dir": True}]
    assert "too deep" in str(fails(mlflow, models))


@pytest.mark.parametrize("size", [5, 50])
def test_a_file_of_another_size_is_refused(mlflow: FakeMlflow, models: Path, size: int) -> None:
    mlflow.listed = [{"path": "MLmodel", "is_dir": False, "file_size": size}]
    assert fails(mlflow, models).status == Exit.UNVERIFIED
    assert not models.exists()


@pytest.mark.parametrize(
    ("location", "status"),
    [
        ("s3://bucket/1/run/artifacts", Exit.CONFIGURATION),
        ("mlflow-artifacts://elsewhere.example/1/run", Exit.CONFIGURATION),
        ("https://elsewhere.example/api/2.0/mlflow-artifacts/artifacts/1/run", Exit.CONFIGURATION),
        ("mlflow-artifacts:/1/../2", Exit.UNVERIFIED),
        ("mlflow-artifacts:/", Exit.UNVERIFIED),
    ],
)
def test_files_that_are_elsewhere(mlflow: FakeMlflow, models: Path, location: str, status: Exit) -> None:
    mlflow.location = location
    assert fails(mlflow, models).status == status
    assert {path for path, _ in mlflow.asked} == {"/api/2.0/mlflow/runs/get"}


def test_what_fails_in_passing_is_tried_again(mlflow: FakeMlflow, models: Path) -> None:
    mlflow.failures = [503, 429, 502]
    get(mlflow, models)
    assert content(models) == FILES


def test_what_fails_for_good_ends(mlflow: FakeMlflow, models: Path) -> None:
    mlflow.failures = [503] * 100
    error = fails(mlflow, models)
    assert (error.status, len(mlflow.asked)) == (Exit.UNAVAILABLE, ATTEMPTS)
    assert "try again" in str(error)


def test_a_redirect_is_not_followed(mlflow: FakeMlflow, models: Path) -> None:
    mlflow.failures, mlflow.headers = [302], {"Location": f"{mlflow.url}/elsewhere"}
    assert fails(mlflow, models).status == Exit.CONFIGURATION
    assert len(mlflow.asked) == 1


def test_a_server_that_cannot_send_a_part_ends_too(mlflow: FakeMlflow, models: Path) -> None:
    """Given connections that always break at the same place, then there is no progress, and an end."""
    mlflow.cut = 2 * MIB
    assert fails(mlflow, models, "data").status == Exit.UNAVAILABLE
    assert not models.exists()
    mlflow.cut = None
    get(mlflow, models, "data")
    assert content(models) == {"a.bin": FILES["data/a.bin"], "b.bin": FILES["data/b.bin"]}


def test_a_store_gets_no_token_and_continues_a_file(mlflow: FakeMlflow, models: Path) -> None:
    """Given addresses that are signed, then the store is asked for the rest where it broke off."""
    mlflow.signs, mlflow.cut = True, 2 * MIB
    get(mlflow, models, "data")
    stored = [headers for path, headers in mlflow.asked if path.startswith("/store/")]
    assert [headers.get("Range") for headers in stored] == [None, f"bytes={2 * MIB}-", None]
    assert not any({"Authorization", "X-MLFLOW-WORKSPACE"} & headers.keys() for headers in stored)
    assert content(models)["a.bin"] == FILES["data/a.bin"]


def test_a_store_whose_certificate_is_not_known_here_is_left_to_mlflow(
    mlflow: FakeMlflow, models: Path, tmp_path: Path
) -> None:
    with tls_server(tmp_path / "pki") as store:
        mlflow.signs, mlflow.store = True, store
        get(mlflow, models)
    assert content(models)["MLmodel"] == FILES["MLmodel"]
    assert not [path for path in mlflow.paths if path.startswith("/store/")]


def test_a_server_that_does_not_say_what_it_can_do_passes_content_on_itself(
    mlflow: FakeMlflow, models: Path
) -> None:
    mlflow.reticent = mlflow.signs = True
    get(mlflow, models)
    assert content(models)["MLmodel"] == FILES["MLmodel"]
    assert not [path for path in mlflow.paths if path.startswith("/store/")]


def test_content_with_another_checksum_is_refused(mlflow: FakeMlflow, models: Path) -> None:
    mlflow.signs, mlflow.damaged = True, "data/a.bin"
    error = fails(mlflow, models)
    assert (error.status, "checksum" in str(error)) == (Exit.UNVERIFIED, True)
    assert mlflow.paths.count("/store/data/a.bin") == 2  # once may be an accident
    assert not models.exists()


def test_a_mount_point_is_filled_by_renames(mlflow: FakeMlflow, mount_point: Path) -> None:
    get(mlflow, mount_point)
    assert content(mount_point) == FILES
    assert sorted(os.listdir(mount_point)) == sorted([MANIFEST, "MLmodel", "data"])
    assert os.listdir(mount_point.parent) == ["models"]


def test_an_interruption_among_the_renames(
    mlflow: FakeMlflow, mount_point: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a process that ends while entries are renamed, then the next one completes the directory."""
    real = os.rename

    def once(source: Any, target: Any) -> None:
        if Path(target).name == "data":
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "rename", once)
    with pytest.raises(KeyboardInterrupt):
        get(mlflow, mount_point)
    assert sorted(os.listdir(mount_point)) == sorted([STAGING, "MLmodel"])
    monkeypatch.setattr(os, "rename", real)
    get(mlflow, mount_point)
    assert content(mount_point) == FILES
    assert mlflow.paths.count(f"/api/2.0/mlflow-artifacts/artifacts/{ROOT}/data/a.bin") == 1


def test_what_others_put_into_the_directory_stays(mlflow: FakeMlflow, models: Path) -> None:
    models.mkdir()
    (models / "MLmodel").write_text("somebody's")
    assert fails(mlflow, models).status == Exit.DIRECTORY
    assert content(models) == {"MLmodel": b"somebody's"}


def test_a_mount_point_may_hold_what_is_not_in_the_way(mlflow: FakeMlflow, mount_point: Path) -> None:
    (mount_point / "lost+found").mkdir()
    get(mlflow, mount_point)
    assert content(mount_point) == FILES
    (mount_point / MANIFEST).unlink()
    assert fails(mlflow, mount_point).status == Exit.DIRECTORY


def test_a_complete_directory_is_not_fetched_again(mlflow: FakeMlflow, models: Path) -> None:
    get(mlflow, models)
    asked = len(mlflow.paths)
    assert "holds them already" in get(mlflow, models)[-1]
    (models / "data" / "b.bin").unlink()
    get(mlflow, models)
    assert (content(models), asked < len(mlflow.paths)) == (FILES, True)
    note = json.loads((models / MANIFEST).read_text())
    assert note["files"] == {path: len(data) for path, data in FILES.items()}


def test_too_little_space(mlflow: FakeMlflow, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    assert fails(mlflow, models).status == Exit.DIRECTORY
    assert mlflow.paths == []


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"},
        {"MLFLOW_TRACKING_URI": "https://me:secret@mlflow.example.com"},
        {
            "MLFLOW_TRACKING_URI": "https://mlflow.example.com",
            "MLFLOW_TRACKING_TOKEN": "a",
            "MLFLOW_TRACKING_PASSWORD": "b",
        },
    ],
)
def test_variables_that_are_wrong(variables: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        TrackingServer.from_environment(variables)
    assert "secret" not in str(caught.value)
