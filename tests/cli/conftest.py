"""What the tests of the command line share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.cli.guarded import GuardedServer
from tests.cli.planes import Plane, running_plane
from tests.cli.servers import asgi
from tests.devplane.real import require_binaries
from workspace_authz.cli.main import main
from workspace_authz.devplane import assets

ENVIRONMENT = (
    "KUBECONFIG",
    "KUBERNETES_SERVICE_HOST",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_WORKSPACE",
    "MLFLOW_WORKSPACE_STORE_URI",
)


@dataclass(frozen=True, slots=True)
class Result:
    """What a command did."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


Run: TypeAlias = Callable[..., Result]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine that the tests run on."""
    for variable in ENVIRONMENT:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process."""

    def run(*arguments: str | Path) -> Result:
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as exit_:  # argparse's --help and --version
            status = int(exit_.code or 0)
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def kubectl() -> Path:
    """The real kubectl. Looked for before a test changes HOME."""
    require_binaries()
    return assets.find_binary(assets.KUBECTL)


@pytest.fixture(scope="session", params=["embedded", "kube-apiserver"])
def plane(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A dev plane of each engine."""
    if request.param == "kube-apiserver":
        require_binaries()
    with running_plane(request.param, tmp_path_factory.mktemp("cli")) as plane:
        yield plane


@pytest.fixture(scope="session")
def guarded(plane: Plane) -> Iterator[str]:
    """The URL of a guarded server, whose default workspace is team-b."""
    with asgi(GuardedServer(plane)) as url:
        yield url
