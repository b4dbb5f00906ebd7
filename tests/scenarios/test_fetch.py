"""``workspace-authz fetch``: KServe's storage initializer, with models that the real SDK registered."""

from __future__ import annotations

import json
import secrets
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.harness.sdk import Sdk, sdk
from tests.harness.server import MlflowServer
from tests.scenarios import model_steps
from tests.scenarios.audiences import Site
from tests.scenarios.fetching import Pod, breaking_line, everything_below, tree
from tests.scenarios.people import HIDDEN, TEAM_A, TEAM_B, Cluster
from workspace_authz.client.fetch.outcome import Exit
from workspace_authz.client.fetch.staging import MANIFEST

SIZE = 12 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Shelf:
    """What alice registered in team-a."""

    alice: Sdk
    name: str
    first: dict[str, str]
    second: dict[str, str]
    predicts: tuple[list[int], list[int]]
    large: str
    """A run with a large file."""


@pytest.fixture(scope="session")
def shelf(
    cluster: Cluster, server: MlflowServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shelf]:
    """Two versions of a model: the first is in production, the second is staged."""
    token, mark = cluster.people.alice.token, secrets.token_hex(4)
    name, experiment = f"fraud detector {mark}", f"fraud-{mark}"
    home = tmp_path_factory.mktemp("alice")
    with sdk(server.uri, home, token=token, workspace=TEAM_A) as alice:
        first = alice.run(model_steps.register_model, experiment, name, labels=[0, 1, 0, 1])
        second = alice.run(model_steps.register_model, experiment, name, labels=[1, 0, 1, 0])
        alice.run(model_steps.promote, name, first["version"], stage="Production", alias="champion")
        alice.run(model_steps.promote, name, second["version"], stage="Staging", alias="challenger")
        large = alice.run(model_steps.log_large, experiment, size=SIZE)
        yield Shelf(alice, name, first, second, (first.pop("predicts"), second.pop("predicts")), large)


@pytest.fixture
def pod(cluster: Cluster, server: MlflowServer, tmp_path: Path) -> Pod:
    """A pod of the account that is bound to mlflow-integration."""
    return Pod(server.uri, tmp_path, cluster.trainer, TEAM_A)


@pytest.mark.parametrize(
    ("which", "version"),
    [("/1", 0), ("/2", 1), ("/latest", 1), ("/production", 0), ("/Staging", 1), ("@champion", 0)],
)
def test_a_fetched_model_predicts(shelf: Shelf, pod: Pod, which: str, version: int) -> None:
    """Given two versions, then each form of the URI gets the one that it means, whole."""
    models = pod.home / "models"
    done = pod.fetch(f"mlflow://models/{quote(shelf.name)}{which}", models)
    assert (done.status, done.err) == (0, "")
    assert shelf.alice.run(model_steps.predictions, str(models)) == shelf.predicts[version]
    assert json.loads((models / MANIFEST).read_text())["label"].startswith(f"version {version + 1} of ")
    assert everything_below(pod.home) == ["models", "volume"]


def test_a_runs_files_and_its_logged_model(shelf: Shelf, pod: Pod) -> None:
    """Given MLflow 3, which keeps a model beside its run's artifacts, then both are found by the run."""
    run = f"mlflow://runs/{shelf.first['run']}"
    pairs = {
        "model": f"{run}/artifacts/model",
        "short": f"{run}/model",
        "folder": f"{run}/notes",
        "file": f"{run}/artifacts/notes/{quote('ä note.txt')}",
        "one": f"{run}/model/MLmodel",
        "by-id": f"mlflow://models/{shelf.first['model']}",
        "here": f"{run}/notes?workspace={TEAM_A}",
    }
    done = pod.fetch(*(word for name, uri in pairs.items() for word in (uri, pod.home / name)))
    assert (done.status, done.err) == (0, "")
    fetched = {name: tree(pod.home / name) for name in pairs}
    assert "MLmodel" in fetched["model"]
    assert fetched["model"] == fetched["short"] == fetched["by-id"]
    assert fetched["folder"] == fetched["file"] == fetched["here"] == {"ä note.txt": b"hello"}
    assert fetched["one"] == {"MLmodel": fetched["model"]["MLmodel"]}
