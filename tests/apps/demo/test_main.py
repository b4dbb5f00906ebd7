"""The demo's exit status, and staying up until somebody or something ends it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from workspace_authz.apps.demo import main
from workspace_authz.apps.demo.cluster import Cluster
from workspace_authz.apps.demo.guide import Row
from workspace_authz.apps.demo.people import PEOPLE
from workspace_authz.apps.demo.processes import child
from workspace_authz.apps.demo.table import Address
from workspace_authz.apps.demo.tour import Step

RIGHT = Row(Step("alice", "lists", "list_workspaces", "team-a"), "token", "team-a", "", 0.1)
WRONG = Row(Step("bob", "reads", "read_runs", "403"), "token", "200", "he got in", 0.1)

FOREVER = "import time; time.sleep(3600)"
TOKENS = {person.name: f"token-of-{person.name}" for person in PEOPLE}
ADDRESS = Address(uri="http://127.0.0.1:5000", kubeconfig="/k", audit="/a", programs="/venv/bin")


class FakeDemo:
    """Servers that do nothing, and a tour that has been taken."""

    def __init__(self) -> None:
        self.rows = [RIGHT]
        self.mlflow = FOREVER

    @asynccontextmanager
    async def set_up(self, state: Path, *, port: int, static_prefix: str) -> AsyncIterator[main.Demo]:
        async with (
            child("MLflow", self._python(self.mlflow), environment={}, log=state / "mlflow.log") as mlflow,
            child("the API", self._python(FOREVER), environment={}, log=state / "api.log") as api,
        ):
            nobody_asks = cast(Cluster, None)  # only the tour would
            yield main.Demo(nobody_asks, TOKENS, mlflow, api, ADDRESS.uri, ADDRESS)

    async def tour(self, demo: main.Demo, state: Path) -> Sequence[tuple[str, Sequence[Row]]]:
        return [("Work", self.rows)]

    def _python(self, code: str) -> tuple[str, ...]:
        return (sys.executable, "-c", code)


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> FakeDemo:
    fake = FakeDemo()
    monkeypatch.setattr(main, "_set_up", fake.set_up)
    monkeypatch.setattr(main, "_tour", fake.tour)
    return fake


def test_once_is_0_when_all_was_as_expected(demo: FakeDemo, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--once"]) == 0
    assert "1 of 1 as expected." in capsys.readouterr().out


def test_once_is_1_when_something_was_not(demo: FakeDemo, capsys: pytest.CaptureFixture[str]) -> None:
    demo.rows = [RIGHT, WRONG]

    assert main.run(["--once"]) == 1
    assert "bob reads: 200 he got in" in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("rows", "status"), [([RIGHT], 0), ([WRONG], 1)])
def test_it_stays_up_until_a_signal(
    demo: FakeDemo, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, rows: list[Row], status: int
) -> None:
    demo.rows = rows
    monkeypatch.setattr(main, "to_try", lambda *_: os.kill(os.getpid(), number))

    assert main.run([]) == status


def test_it_ends_when_a_server_does(demo: FakeDemo, capsys: pytest.CaptureFixture[str]) -> None:
    demo.mlflow = "raise SystemExit('disk full')"

    assert main.run([]) == 1
    assert "demo: MLflow ended with status 1" in (told := capsys.readouterr()).err
    assert "disk full" in told.err


def test_what_to_try_is_told(
    demo: FakeDemo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    demo.mlflow = "pass"

    main.run([])

    told = capsys.readouterr().out
    assert all(token in told for token in TOKENS.values())
    assert "  export MLFLOW_TRACKING_URI=http://127.0.0.1:5000\n" in told
    assert "  export MLFLOW_WORKSPACE=team-a\n  export MLFLOW_TRACKING_TOKEN=token-of-alice\n" in told
    assert "  export KUBECONFIG=/k\n" in told


def test_a_state_directory_that_cannot_be_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()

    assert main.run(["--once", "--state", str(tmp_path / "file" / "state")]) == 1
    assert capsys.readouterr().err.startswith("demo: [Errno 20] Not a directory")
