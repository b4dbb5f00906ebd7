"""What of MLflow we rely on: every name is known, and a release that lacks one is refused in one sentence."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from mlflow.server import handlers

import workspace_authz
from workspace_authz.errors import ConfigurationError
from workspace_authz.web.foundation import NEEDED, lacking, refuse_unknown_mlflow

PACKAGE = Path(workspace_authz.__file__).parent
LISTED = {f"{module}.{name.partition('.')[0]}" for module, names in NEEDED.items() for name in names}


def imported() -> Iterator[str]:
    """Everything that the guarded server imports from MLflow."""
    for layer in ("enforcement", "lookup", "provider", "runtime", "web", "workspaces"):
        for file in (PACKAGE / layer).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "mlflow":
                    yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_everything_that_is_imported_is_looked_for() -> None:
    """New imports of MLflow belong into ``NEEDED``."""
    assert sorted(set(imported()) - LISTED) == []


def test_this_mlflow_has_it_all() -> None:
    assert lacking() == []


def test_what_is_not_there_is_named() -> None:
    needed = {
        "mlflow.not_there": ("one", "two"),
        "mlflow.server.handlers": ("_get_user", "_gone"),
        "mlflow.client": ("MlflowClient.create_run", "MlflowClient.gone.deeper"),
    }
    assert lacking(needed) == [
        "mlflow.not_there.one",
        "mlflow.not_there.two",
        "mlflow.server.handlers._gone",
        "mlflow.client.MlflowClient.gone.deeper",
    ]


def test_a_release_without_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """... where a replacement would have been put beside what MLflow calls instead."""
    monkeypatch.delattr(handlers, "_get_user")
    with pytest.raises(ConfigurationError, match=r"MLflow 3\.\S+ lacks .*handlers\._get_user.*: install "):
        refuse_unknown_mlflow()


def test_the_command_line_ends_with_that_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(handlers, "_get_user")
    with click.Context(click.Command("server")) as context:
        context.params = {"gunicorn_opts": None}
        with pytest.raises(click.ClickException, match=r"handlers\._get_user"):
            refuse_unknown_mlflow()
