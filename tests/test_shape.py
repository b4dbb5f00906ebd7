"""The rules of docs/architecture.md about functions and modules that neither ruff nor import-linter checks.

``LONG``, ``POSITIONAL`` and ``MUTABLE`` are the exceptions, each with its reason.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import pytest

from tests.harness.source import modules, room_of

MAX_BODY_LINES: Final = 40
MAX_POSITIONAL: Final = 2

Function = ast.FunctionDef | ast.AsyncFunctionDef

LONG: Final[Mapping[str, str]] = {}
"""Functions that may be longer, and why."""

_COLUMNS: Final = "its arguments are the columns of the route tables"

POSITIONAL: Final[Mapping[str, str]] = {
    "catalog/assistant:_assistant": _COLUMNS,
    "catalog/build:ajax": _COLUMNS,
    "catalog/build:at_path": _COLUMNS,
    "catalog/build:rpc": _COLUMNS,
    "catalog/gateway_calls:_call": _COLUMNS,
    "catalog/mcp:_mcp": _COLUMNS,
    "catalog/skills:_skills": _COLUMNS,
    "mlflow_adapter/patches/attribution:CurrentUserClient.create_run": "overrides MLflow's method",
    "mlflow_adapter/patches/guardrails:send_request": "replaces MLflow's function",
    "mlflow_adapter/patches/regular_expressions:_replace": "SQLAlchemy's interface of a listener",
    "mlflow_adapter/reading/graphql:_Recorder.resolve": "graphql-core's interface of a middleware",
}
"""Functions that may have more positional parameters, and why: mostly interfaces of others."""

MUTABLE: Final[Mapping[str, str]] = {
    "runtime/process:_runtime": "the runtime of the process, which MLflow's two entry points share",
}
"""Module-level variables that may change, and why."""

_ASGI: Final = frozenset({"scope", "receive", "send"})
"""The parameters of ASGI applications, which count as one: they go together everywhere."""

_CONTAINERS: Final = frozenset(
    {"list", "dict", "set", "bytearray", "defaultdict", "deque", "OrderedDict", "Counter"}
)


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """One place that breaks a rule."""

    module: str
    name: str
    rule: str

    def __str__(self) -> str:
        return f"{self.module}:{self.name} {self.rule}"


@cache
def violations() -> frozenset[Violation]:
    """Every violation in the package."""
    return frozenset(_violations())


def _violations() -> Iterator[Violation]:
    for module, file in modules():
        tree = ast.parse(file.read_text())
        for name in _mutable_names(tree):
            if f"{module}:{name}" not in MUTABLE:
                yield Violation(module, name, "is mutable state of the module")
        for name, function in _functions(tree):
            for rule in _broken(f"{module}:{name}", name, function):
                yield Violation(module, name, rule)


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            yield f"{prefix}{node.name}", node
            yield from _functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}.")
        else:
            yield from _functions(node, prefix)


def _broken(key: str, name: str, function: Function) -> Iterator[str]:
    if _body_lines(function) > MAX_BODY_LINES and key not in LONG:
        yield "is longer than 40 lines"
    if _positional(function) > MAX_POSITIONAL and key not in POSITIONAL:
        yield "has more than two positional parameters"
    public = not any(part.startswith("_") for part in name.split("."))
    if public and _raises(function) and not _says_so(ast.get_docstring(function)):
        yield "does not document what it raises"


def _body_lines(function: Function) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def _positional(function: Function) -> int:
    """The number of positional parameters that the project itself chose, without ``self`` and ``cls``."""
    names = tuple(each.arg for each in (*function.args.posonlyargs, *function.args.args))
    if function.name.startswith("__") and function.name != "__init__":
        return 0
    own = [name for name in names if name not in _ASGI]
    return len(own) + (len(own) < len(names)) - (names[:1] in (("self",), ("cls",)))


def _raises(function: Function) -> bool:
    """Whether an error is made and raised here, not in a function inside."""
    return any(
        isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) for node in _own_nodes(function)
    )


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (Function, ast.ClassDef, ast.Lambda)):
            yield child
            yield from _own_nodes(child)


def _says_so(docstring: str | None) -> bool:
    """``See :class:`X`.`` refers to the interface, which says what is raised."""
    return docstring is None or docstring.startswith("See :") or "raise" in docstring.lower()


def _mutable_names(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and _is_container(node.value):
            yield from (ast.unparse(target) for target in node.targets if ast.unparse(target) != "__all__")
        elif isinstance(node, ast.AnnAssign) and "Final" not in ast.unparse(node.annotation):
            yield from [ast.unparse(node.target)] if _is_container(node.value) else []
    for inner in ast.walk(tree):
        if isinstance(inner, ast.Global):
            yield from inner.names


def _is_container(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call):
        called = value.func.value if isinstance(value.func, ast.Subscript) else value.func
        return ast.unparse(called).rpartition(".")[2] in _CONTAINERS
    return isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)


ROOMS: Final = sorted({room_of(module) for module, _ in modules()})


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_breaks_the_rules(room: str) -> None:
    assert [str(each) for each in sorted(violations()) if room_of(each.module) == room] == []


def test_every_exception_is_needed() -> None:
    needed: set[str] = set()
    for module, file in modules():
        tree = ast.parse(file.read_text())
        needed |= {f"{module}:{name}" for name, function in _functions(tree) if _exceeds(function)}
        needed |= {f"{module}:{name}" for name in _mutable_names(tree)}
    assert sorted({*LONG, *POSITIONAL, *MUTABLE} - needed) == []


def _exceeds(function: Function) -> bool:
    return _body_lines(function) > MAX_BODY_LINES or _positional(function) > MAX_POSITIONAL
