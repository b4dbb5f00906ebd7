"""What MLflow is said to answer to a request of the wrong form is what its own handlers answer."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator

import flask
import pytest
from mlflow.server import handlers

from workspace_authz.catalog.model import Authenticated, Route
from workspace_authz.errors import MlflowRefusedError
from workspace_authz.mlflow_adapter.reading.mlflow_refusals import (
    MESSAGE,
    STORES,
    _handlers,
    path_refusal,
    refusal_of,
)

JSON = "application/json"
APP = flask.Flask(__name__)
BEFORE = {
    *("_validate_batch_log_api_req", "_get_request_json"),
    *("validate_path_is_safe", "_get_workspace_scoped_repo_path_if_enabled"),
}
"""What a handler may call before it reads its message: checks of the request itself."""
_NO_TAGS: dict[str, str] = {}
BODIES = (
    *("", "{", "[]", "[7]", '"x"', "null", "7", "{}", '{"zzz": 1}', "[" * 3000),
    *(json.dumps({"tags": tags}) for tags in ("x", 7, ["x"], {"k": "v"}, [{"key": 7}], None)),
    *(json.dumps({"name": value, "run_id": value}) for value in (7, None, ["x"], {"x": 1})),
    *(json.dumps({"run_id": "1", "tags": tags}) for tags in ("x", _NO_TAGS, [{"value": "x"}])),
    '{"experiment_id": "1", "experimentId": "2"}',
)


class _StoreError(Exception):
    """MLflow has taken the form of the request, and asks a store."""


def route(operation: str) -> Route:
    return Route("POST", "/x", operation, Authenticated("A test."))


def operations() -> list[str]:
    return sorted(_handlers())


def test_most_of_mlflows_handlers_read_a_message() -> None:
    assert len(operations()) > 100
    assert {"CreateExperiment", "LogBatch", "CreateRun", "CreateModelVersion"} <= set(operations())
    assert not [name for name in STORES if not hasattr(handlers, name)]


def statements_before_reading(function: object) -> Iterator[ast.stmt]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body  # type: ignore[arg-type]
    assert isinstance(definition, ast.FunctionDef)
    for statement in definition.body:
        names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
        if MESSAGE in names and not isinstance(statement, ast.FunctionDef):
            return
        yield statement


@pytest.mark.parametrize("operation", operations())
def test_a_handler_does_nothing_before_it_has_read_its_message(operation: str) -> None:
    for statement in statements_before_reading(_handlers()[operation]):
        if isinstance(statement, ast.FunctionDef | ast.Import | ast.ImportFrom):
            continue
        called = {
            node.func.id
            for node in ast.walk(statement)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert called <= BEFORE, ast.unparse(statement)
        methods = [node for node in ast.walk(statement) if isinstance(node, ast.Attribute)]
        assert not methods, ast.unparse(statement)


def answered(operation: str, body: str, content_type: str) -> tuple[int, object] | None:
    """MLflow's own answer, if it comes before a store is asked and is none of 500."""
    handler = next(
        found for message, found in handlers.HANDLERS.items() if message.DESCRIPTOR.name == operation
    )
    request = APP.test_request_context(
        "/x", method="POST", data=body.encode(), content_type=content_type or None
    )
    arguments = ["" for _ in inspect.signature(handler).parameters]
    try:
        with request:
            answer = handler(*arguments)
    except Exception:  # noqa: BLE001 - handlers fail in many ways, which are 500 in a server
        return None
    return (answer.status_code, answer.get_json(force=True)) if answer.status_code < 500 else None


@pytest.mark.parametrize("operation", ["CreateExperiment", "LogBatch", "SetTag", "CreateModelVersion"])
@pytest.mark.parametrize("content_type", [JSON, "", "text/plain"])
def test_it_is_what_the_handler_answers(
    monkeypatch: pytest.MonkeyPatch, operation: str, content_type: str
) -> None:
    def store(*_: object, **__: object) -> None:
        raise _StoreError

    for name in STORES:
        monkeypatch.setattr(handlers, name, store)
    seen = 0
    for body in BODIES:
        headers = [(b"content-type", content_type.encode())] if content_type else []
        headers.append((b"content-length", str(len(body)).encode()))
        found = refusal_of(route(operation), method="POST", query=b"", headers=headers, body=body.encode())
        expected = answered(operation, body, content_type)
        seen += found is not None
        if found is not None:
            assert (found.status, found.document) == expected, body
    assert seen > 1


def test_a_handler_is_left_before_it_asks_a_store(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    for name in STORES:
        monkeypatch.setattr(handlers, name, lambda *_, _name=name, **__: asked.append(_name))
    for operation in operations():
        for body in (b"{}", b'{"name": "x", "run_id": "1", "experiment_id": "1"}'):
            headers = [(b"content-type", JSON.encode()), (b"content-length", str(len(body)).encode())]
            refusal_of(route(operation), method="POST", query=b"", headers=headers, body=body)
    assert asked == []


def test_what_has_no_message_is_not_answered() -> None:
    assert refusal_of(route("GraphQL"), method="POST", query=b"", headers=[], body=b"{") is None


def test_a_path_that_mlflow_does_not_take() -> None:
    for path in ("../x", "1/../x", "1/%2e%2e/x", "1/%252e%252e/x", "/etc", "file:///etc"):
        found = path_refusal(path)
        assert isinstance(found, MlflowRefusedError)
        assert (found.status, found.message) == (400, "Invalid path")
    for path in ("1/x", "", "1/" + "\u0301" * 10, "//" + "a\u0301" * 600, "../" + "x" * 2000):
        assert path_refusal(path) is None


@pytest.mark.parametrize("operation", ["DeleteArtifact", "CreateMultipartUpload"])
def test_what_needs_mlflows_active_workspace_is_not_answered(
    monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    for body in (b"", b"{}", b"{"):
        headers = [(b"content-type", JSON.encode()), (b"content-length", str(len(body)).encode())]
        asked = route(operation)
        assert refusal_of(asked, method="POST", query=b"", headers=headers, body=body) is None
