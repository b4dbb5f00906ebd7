"""``workspace-authz fetch``: KServe's storage initializer, with models that the real SDK registered."""

from __future__ import annotations

import json
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.harness.sdk import Sdk, sdk
from tests.harness.server import MlflowServer
from tests.scenarios import model_steps
from tests.scenarios.fetching import Pod, breaking_line, bytes_below, everything_below, tree
from tests.scenarios.people import TEAM_A, TEAM_B, Cluster
from tests.scenarios.waiting import until
from tests.scenarios.withdrawn import given_leavers
from workspace_authz.client.environment import AUDIENCE, SERVICE_ACCOUNT
from workspace_authz.client.fetch.outcome import Exit
from workspace_authz.client.fetch.staging import MANIFEST
from workspace_authz.identity.verified_tokens import TokenTerms

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
    done = pod.fetch_here(f"mlflow://models/{quote(shelf.name)}{which}", models)
    assert (done.status, done.err) == (0, "")
    assert shelf.alice.run(model_steps.predictions, str(models)) == shelf.predicts[version]
    assert json.loads((models / MANIFEST).read_text())["label"].startswith(f"version {version + 1} of ")
    assert everything_below(pod.home) == ["models", "volume"]


def test_the_address_of_the_server_may_name_the_workspace(shelf: Shelf, pod: Pod) -> None:
    """Given MLFLOW_TRACKING_URI with /workspaces/team-a, then the model comes from there."""
    models = pod.home / "models"
    within = replace(pod, uri=f"{pod.uri}/workspaces/{TEAM_A}")
    done = within.fetch_here(f"mlflow://models/{quote(shelf.name)}/1", models)
    assert (done.status, done.err) == (0, "")
    assert "MLmodel" in tree(models)


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


def test_an_interrupted_fetch_goes_on_and_shows_nothing_before(shelf: Shelf, pod: Pod) -> None:
    """Given a process that is killed in the middle of a file, then the next one asks for the rest only."""
    models, uri = pod.home / "models", f"mlflow://runs/{shelf.large}/large"
    with breaking_line(pod.uri) as line:
        slow = replace(pod, uri=line.url)
        line.cut, line.stall = SIZE // 2, True
        with slow.start(uri, models) as process:
            assert line.reached.wait(60)
            until(partial(_has_half, pod))
            assert everything_below(models) == []
            process.send_signal(signal.SIGKILL)
        assert everything_below(models) == []
        line.cut = None
        line.release.set()
        done = slow.fetch(uri, models)
        assert (done.status, done.err) == (0, "")
        (_, first), (_, second) = line.asked
        assert "Range" not in first
        assert int(second["Range"].removeprefix("bytes=").rstrip("-")) >= SIZE // 2 - 2**20
    assert tree(models) == {"0.bin": model_steps.large(SIZE)}
    assert everything_below(pod.home) == ["models", "volume"]


def test_a_line_that_breaks_again_and_again(shelf: Shelf, pod: Pod) -> None:
    """Given connections that pass a part of a file each, then the parts become the file."""
    models = pod.home / "models"
    with breaking_line(pod.uri) as line:
        line.cut = SIZE // 3 + 1
        done = replace(pod, uri=line.url).fetch(f"mlflow://runs/{shelf.large}/large/0.bin", models)
        assert (done.status, done.err, len(line.asked)) == (0, "", 3)
    assert tree(models) == {"0.bin": model_steps.large(SIZE)}


def test_downloads_that_outlive_their_token(
    shelf: Shelf, server: MlflowServer, cluster: Cluster, tmp_path: Path
) -> None:
    """Given tokens that end in the middle of a file, then a new one is taken; without one 401 is the end.

    The first pod has its token by TokenRequest, keeps it, and asks for another. The second one finds another
    token in its file, the third one does not.
    """
    plane, uri = cluster.plane, f"mlflow://runs/{shelf.large}/large"
    leavers = given_leavers(plane, TEAM_A)
    account = {SERVICE_ACCOUNT: f"{TEAM_A}/leaver", AUDIENCE: ""}
    asking = {"KUBECONFIG": str(plane.admin_kubeconfig), **account}

    with breaking_line(server.uri) as line, ExitStack() as stack:
        line.cut, line.stall = SIZE // 2, True
        asks, renewed, stale = (
            Pod(line.url, tmp_path / name, leavers.bound, TEAM_A, variables)
            for name, variables in (("asks", asking), ("renewed", {}), ("stale", {}))
        )
        running = {}
        for pod in (asks, renewed, stale):
            running[pod.home] = stack.enter_context(pod.start(uri, pod.home / "models"))
            stack.callback(running[pod.home].kill)
            until(partial(_has_half, pod))
        leavers.end()
        renewed.renew(plane.account_token(TEAM_A, "stayer"))
        time.sleep(TokenTerms().seconds)  # so long the server may remember whose a token was
        plane.service_account(TEAM_A, "leaver")
        line.cut = None
        line.release.set()
        for pod in (renewed, asks):
            done = pod.end(running[pod.home])
            assert (done.status, done.err) == (0, ""), pod.home.name
            assert tree(pod.home / "models") == {"0.bin": model_steps.large(SIZE)}
        ended = stale.end(running[stale.home])
        assert (ended.status, "answers 401" in ended.err) == (Exit.UNAUTHENTICATED, True), ended.err
        assert everything_below(stale.home / "models") == []
        assert _has_half(stale), "the next one goes on"
        ranges = [headers["Range"] for _, headers in line.asked if "Range" in headers]
        assert len(ranges) == len(line.asked) - 3, "each began once"


def _has_half(pod: Pod) -> bool:
    """Of the large file, but for the last chunk."""
    return bytes_below(pod.home) >= SIZE // 2 - 2**20


def test_a_fetched_directory_follows_its_address(shelf: Shelf, pod: Pod) -> None:
    """Given a pod that starts again, then nothing comes twice; another version takes its place."""
    models, name = pod.home / "models", quote(shelf.name)
    with breaking_line(pod.uri) as line:
        again = replace(pod, uri=line.url)
        assert again.fetch(f"mlflow://models/{name}/1", models).status == 0
        first, files = tree(models), len(line.asked)
        assert "holds them already" in again.fetch(f"mlflow://models/{name}@champion", models).out
        assert len(line.asked) == files
        assert again.fetch(f"mlflow://models/{name}/2", models).status == 0
    assert tree(models) != first
    assert shelf.alice.run(model_steps.predictions, str(models)) == shelf.predicts[1]


@pytest.mark.parametrize(
    ("who", "uri", "status", "says"),
    [
        ("trainer", "mlflow://models/{name}/99", Exit.MISSING, "99"),
        ("trainer", "mlflow://models/{name}@nobody", Exit.MISSING, "nobody"),
        ("trainer", "mlflow://models/{name}/archived", Exit.MISSING, "no version in the stage Archived"),
        ("trainer", "mlflow://models/no%20such%20model/latest", Exit.MISSING, "no such model"),
        ("trainer", "mlflow://runs/{run}/nowhere", Exit.MISSING, "nowhere"),
        ("trainer", "mlflow://runs/0123456789abcdef0123456789abcdef/model", Exit.MISSING, "0123456789abcdef"),
        ("trainer", f"mlflow://models/{{name}}/1?workspace={TEAM_B}", Exit.FORBIDDEN, TEAM_B),
        ("unbound", "mlflow://models/{name}/1", Exit.FORBIDDEN, "kubectl create rolebinding"),
        ("nobody", "mlflow://models/{name}/1", Exit.UNAUTHENTICATED, "answers 401"),
    ],
)
def test_failures_have_a_status_and_leave_nothing(
    shelf: Shelf, cluster: Cluster, pod: Pod, *, who: str, uri: str, status: Exit, says: str
) -> None:
    """Given an address that leads nowhere, or a caller without rights, then status and message say so."""
    tokens = {"trainer": cluster.trainer, "unbound": cluster.unbound, "nobody": "no-token-of-this-cluster"}
    wanted = uri.format(name=quote(shelf.name), run=shelf.first["run"])
    done = replace(pod, token=tokens[who]).fetch_here(wanted, pod.home / "models")
    assert (done.status, done.err.count("\n")) == (status, 0), done.err
    assert says in done.err
    assert everything_below(pod.home) == ["volume"]
