"""What this package relies on in MLflow: a release that lacks some of it is refused in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import click
import pytest
from mlflow.server import handlers

from workspace_authz.doors.app import IMPORTERS
from workspace_authz.errors import ConfigurationError
from workspace_authz.mlflow_adapter.compat import (
    TESTED_RELEASES,
    missing_symbols,
    refuse_unknown_mlflow,
)


def test_this_mlflow_has_it_all() -> None:
    assert missing_symbols(IMPORTERS) == []


def test_this_mlflow_is_a_tested_release() -> None:
    """So the parent does not look. Whoever supports another release adds it to the set."""
    assert metadata.version("mlflow") in TESTED_RELEASES


@pytest.mark.parametrize(
    ("statement", "missing"),
    [
        (
            "from mlflow.server.handlers import _gone",
            "cannot import name '_gone' from 'mlflow.server.handlers'",
        ),
        ("import mlflow.not_there", "No module named 'mlflow.not_there'"),
    ],
)
def test_a_failed_import_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str, missing: str
) -> None:
    name = f"importer_{abs(hash(statement))}"
    (tmp_path / f"{name}.py").write_text(statement)
    monkeypatch.syspath_prepend(tmp_path)
    assert missing_symbols((name,)) == [missing]


def test_a_failed_import_of_something_else_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "importer_of_ours.py").write_text("import workspace_authz.not_there")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="not_there"):
        missing_symbols(("importer_of_ours",))


def test_what_is_relied_on_but_not_imported_is_named() -> None:
    relied_on = {
        "mlflow.server.handlers": ("_get_user", "_gone"),
        "mlflow.client": ("MlflowClient.create_run", "MlflowClient.gone.deeper"),
    }
    assert missing_symbols((), relied_on) == [
        "mlflow.server.handlers._gone",
        "mlflow.client.MlflowClient.gone.deeper",
    ]


def test_a_release_without_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise nobody would call the replacement."""
    monkeypatch.delattr(handlers, "_get_user")
    with pytest.raises(ConfigurationError, match=r"MLflow 3\.\S+ lacks .*handlers\._get_user.*: install "):
        refuse_unknown_mlflow(IMPORTERS)


@pytest.fixture
def command() -> Iterator[None]:
    """``mlflow server`` as its parent process sees it."""
    with click.Context(click.Command("server")) as context:
        context.params = {"gunicorn_opts": None}
        yield


@pytest.mark.usefixtures("command")
def test_the_command_line_ends_with_that_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(handlers, "_get_user")
    with pytest.raises(click.ClickException, match=r"handlers\._get_user"):
        refuse_unknown_mlflow(IMPORTERS, tested=())


@pytest.mark.usefixtures("command")
def test_the_parent_does_not_look_at_a_tested_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(handlers, "_get_user")
    refuse_unknown_mlflow(IMPORTERS, tested={metadata.version("mlflow")})
