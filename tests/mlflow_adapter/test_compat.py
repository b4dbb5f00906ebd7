"""What this package relies on in MLflow: found, named, and stated whole in one table."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import click
import pytest
from mlflow.server import handlers, security_utils
from mlflow.utils import workspace_utils

from tests.harness.releases import USUAL, has
from tests.harness.source import modules
from workspace_authz.catalog.routes import all_routes
from workspace_authz.doors.app import IMPORTERS
from workspace_authz.errors import ConfigurationError
from workspace_authz.mlflow_adapter.compat import (
    TESTED_RELEASES,
    demand_for_command,
    find_gaps,
    optional_module,
    refuse_unknown_mlflow,
    refused_operations,
    replace_attribute,
)
from workspace_authz.mlflow_adapter.patches import origins
from workspace_authz.mlflow_adapter.relied_on import (
    DATABASES,
    FOR_UPKEEP,
    GATEWAY_CALLS,
    GC_COMMAND,
    RELIED_ON,
    Refuses,
    Reliance,
    Stops,
)
from workspace_authz.mlflow_adapter.store.tables import DEFAULT_WORKSPACE

PUBLIC = ("mlflow.client", "mlflow.entities", "mlflow.environment_variables", "mlflow.exceptions")
"""And ``mlflow.protos``, whose names are modules."""
PROTOS = "mlflow.protos"
EVERYTHING = (*RELIED_ON, *FOR_UPKEEP)
COLUMNS = [each for each in RELIED_ON if "dbmodels" in each.module]
SERVED = frozenset(route.operation for route in all_routes() if has(USUAL, route))
"""By the MLflow that runs these tests."""
LACKING = Reliance("mlflow.server.handlers", ("_gone",), Refuses(frozenset({"CreateRun"})))


def test_this_mlflow_has_it_all() -> None:
    assert find_gaps(EVERYTHING) == ()


def test_a_command_of_upkeep_says_what_this_mlflow_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    demand_for_command(GC_COMMAND)
    monkeypatch.delattr("mlflow.cli.cli")
    with pytest.raises(ConfigurationError, match=r"`workspace-authz gc` relies on: mlflow\.cli\.cli"):
        demand_for_command(GC_COMMAND)


def test_this_mlflow_is_a_tested_release() -> None:
    """So the parent does not look. Whoever supports another release adds it to the set."""
    assert metadata.version("mlflow") in TESTED_RELEASES


def test_what_is_relied_on_is_stated_once() -> None:
    names = [f"{each.module}.{name}" for each in EVERYTHING for name in each.names]
    assert len(names) == len(set(names))


def test_what_is_refused_are_operations_of_the_catalog() -> None:
    known = {route.operation for route in all_routes()}
    for each in RELIED_ON:
        if isinstance(each.without, Refuses):
            assert each.without.operations
            assert each.without.operations <= known, str(each)


def test_every_call_of_an_endpoint_depends_on_guardrails_and_budgets() -> None:
    called = {route.operation for route in all_routes() if route.path.startswith("/gateway/")}
    assert called - {"ListModels"} == GATEWAY_CALLS


# What adapter code uses, read from its source.


def _used(file: Path) -> Iterator[tuple[str, str]]:
    """The modules of MLflow and what is used of them, or imported from them by name."""
    tree = ast.parse(file.read_text())
    bound: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "mlflow":
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                if node.module == PROTOS or node.module in PUBLIC:
                    continue
                assert name in sys.modules, f"{file.name} imports {name} by name"
                bound[alias.asname or alias.name] = name
        elif isinstance(node, ast.Import):
            assert not any(alias.name.startswith("mlflow") for alias in node.names), file.name
        elif isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("optional_module("):
            assert isinstance(node.value, ast.Call)
            bound[ast.unparse(node.targets[0])] = ast.literal_eval(node.value.args[0])
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in bound:
            yield bound[ast.unparse(node.value)], node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "replace_attribute"):
            module, second = bound.get(ast.unparse(node.args[0])), node.args[1]
            if module is not None and isinstance(second, ast.Constant):
                yield module, str(second.value)


def test_the_table_has_what_the_adapter_uses_and_nothing_else() -> None:
    used = {use for module, file in modules() if module.startswith("mlflow_adapter/") for use in _used(file)}
    stated = {(each.module, name.partition(".")[0]) for each in EVERYTHING for name in each.names}
    by_text = {
        (each.module, name.partition(".")[0])
        for each in RELIED_ON
        if each in COLUMNS or each.module == "mlflow.utils.search_utils"
        for name in each.names
    }
    assert sorted(used - stated) == []
    assert sorted(stated - by_text - used) == []


def _is_used(reliance: Reliance) -> bool:
    return not (isinstance(reliance.without, Refuses) and reliance.without.operations.isdisjoint(SERVED))


@pytest.mark.parametrize("reliance", [each for each in COLUMNS if _is_used(each)], ids=str)
def test_a_column_that_is_gone_is_named(reliance: Reliance) -> None:
    (dotted,) = reliance.names
    table, _, column = dotted.partition(".")
    kind = getattr(import_module(reliance.module), table)
    before = kind.__dict__[column]
    type.__delattr__(kind, column)  # SQLAlchemy's own refuses
    try:
        gaps = find_gaps()
    finally:
        type.__setattr__(kind, column, before)
    assert [gap.name for gap in gaps] == [f"{reliance.module}.{dotted}"]
    assert isinstance(gaps[0].without, Stops if table == "SqlExperiment" else Refuses)


# How it is found.


def test_one_of_several_names_suffices() -> None:
    def missing(*names: str) -> list[str]:
        return [gap.name for gap in find_gaps([Reliance(handlers.__name__, names, LACKING.without)])]

    assert missing("_gone", "_get_user") == missing("_get_user", "_gone") == []
    assert missing("_gone", "_went") == ["mlflow.server.handlers._gone or mlflow.server.handlers._went"]


def test_a_whole_module_that_is_gone_lacks_everything() -> None:
    (gap,) = find_gaps([Reliance("mlflow.not_there.deeper", ("a.b",), LACKING.without)])
    assert str(gap) == (
        f"MLflow {metadata.version('mlflow')} lacks mlflow.not_there.deeper.a.b: refused are CreateRun"
    )


def test_a_module_that_cannot_be_imported_for_another_reason_is_no_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.py").write_text("import not_installed")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="not_installed"):
        optional_module("broken")


def test_a_release_before_a_function_does_not_lack_it() -> None:
    later = Reliance("mlflow.not_there", ("a",), LACKING.without, since="9.0")
    unserved = Reliance("mlflow.not_there", ("a",), Refuses(frozenset({"NotServedHere"})))
    assert find_gaps([later, unserved]) == ()


def test_nothing_is_replaced_where_there_is_nothing() -> None:
    class Module:
        there = 1

    replace_attribute(Module, "there", by=2)
    replace_attribute(Module, "gone", by=2)
    assert (Module.there, hasattr(Module, "gone")) == (2, False)


def test_callers_are_told_the_reason() -> None:
    (reason,) = refused_operations(find_gaps([LACKING])).values()
    assert f"MLflow {metadata.version('mlflow')} lacks mlflow.server.handlers._gone" in reason
    assert "a newer workspace-authz" in reason


def test_our_copies_of_constants_are_mlflows() -> None:
    assert origins.BLOCKED == security_utils.CORS_BLOCKED_MSG
    assert set(security_utils.STATE_CHANGING_METHODS) == origins.CHANGING_METHODS
    assert workspace_utils.DEFAULT_WORKSPACE_NAME == DEFAULT_WORKSPACE


# What stops the start.


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
    with pytest.raises(ConfigurationError, match=missing):
        refuse_unknown_mlflow((name,))


def test_a_failed_import_of_something_else_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "importer_of_ours.py").write_text("import workspace_authz.not_there")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="not_there"):
        refuse_unknown_mlflow(("importer_of_ours",))


SENTENCE = r"MLflow 3\.\S+ lacks .*handlers\._get_request_message \(it reads .*\)\. Please install "


def test_a_release_without_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(handlers, "_get_request_message")
    with pytest.raises(ConfigurationError, match=SENTENCE):
        refuse_unknown_mlflow(IMPORTERS)


@pytest.fixture
def command() -> Iterator[None]:
    """``mlflow server`` as its parent process sees it."""
    with click.Context(click.Command("server")) as context:
        context.params = {"gunicorn_opts": None}
        yield


@pytest.mark.usefixtures("command")
def test_the_command_line_ends_with_that_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(handlers, "_get_request_message")
    with pytest.raises(click.ClickException, match=SENTENCE):
        refuse_unknown_mlflow(IMPORTERS, tested=())


@pytest.mark.usefixtures("command")
def test_the_parent_does_not_look_at_a_tested_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(handlers, "_get_request_message")
    refuse_unknown_mlflow(IMPORTERS, tested={metadata.version("mlflow")})


@pytest.mark.parametrize("name", ["_verify_schema", "Base"])
def test_the_command_that_lacks_something_says_so(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    demand_for_command()
    databases: Any = import_module(DATABASES)
    monkeypatch.delattr(databases, name)
    with pytest.raises(ConfigurationError, match=rf"lacks what `workspace-authz workspaces` .*\.{name}\. "):
        demand_for_command()
