"""What a GraphQL document will ask MLflow for: found by executing it, with stand-ins for what is found.

Parsed, validated and executed by the library and on the schema that MLflow executes it with, so that aliases,
fragments, directives, variables and their defaults mean the same. Only the functions that compute fields are
left out, and each list has one element: a document asks for a field in the first as in the hundredth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from flask import Request
from graphene.types.resolver import get_default_resolver
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    MiddlewareManager,
    execute_sync,
    parse,
    validate,
)
from mlflow.exceptions import MlflowException
from mlflow.server import handlers
from werkzeug.exceptions import HTTPException

from workspace_authz.catalog.graphql import FieldCall
from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.compat import optional_module
from workspace_authz.mlflow_adapter.reading.messages import Headers, environ_of, refused_by_mlflow

graphql_no_batching = optional_module("mlflow.server.graphql.graphql_no_batching")
graphql_schema_extensions = optional_module("mlflow.server.graphql.graphql_schema_extensions")

DOCUMENT_CHARACTERS: Final = 32 * 1024
DOCUMENT_TOKENS: Final = 4000
"""MLflow's own bounds (depth 10, 1000 selections, 10 top-level fields and aliases) hold after parsing."""

_PRESENT: Final = object()
_UNREADABLE: Final = "The body must be a JSON object with one GraphQL document that MLflow can execute."


@dataclass(frozen=True, slots=True)
class Sent:
    """What the body of a request says."""

    text: str
    variables: Any
    operation: Any


def read_calls(*, method: str, query: bytes, headers: Headers, body: bytes) -> tuple[FieldCall, ...]:
    """Every place at which the document in a request asks for a field, introspection excepted.

    Empty for a document of which MLflow executes nothing, and answers with errors. Raises
    :class:`BadRequestError` for a request that MLflow cannot read, or of which it would execute a part only.
    """
    sent = read_document(method=method, query=query, headers=headers, body=body)
    return calls_in(sent.text, variables=sent.variables, operation=sent.operation)


def read_document(*, method: str, query: bytes, headers: Headers, body: bytes) -> Sent:
    """The document in a request; raises :class:`BadRequestError` where MLflow would find none."""
    try:
        request = Request(environ_of(method=method, query=query, headers=headers, body=body))
        document = handlers._get_request_json(request)
    except MlflowException as error:
        raise refused_by_mlflow(error) or BadRequestError(_UNREADABLE) from error
    except (ValueError, TypeError, RecursionError, HTTPException) as error:
        raise BadRequestError(_UNREADABLE) from error
    if not isinstance(document, dict) or not isinstance(document.get("query"), str):
        raise BadRequestError(_UNREADABLE)
    return Sent(document["query"], document.get("variables"), document.get("operationName"))


def calls_in(text: str, *, variables: Any, operation: Any) -> tuple[FieldCall, ...]:
    """As :func:`read_calls`, of the document ``text``. Raises :class:`BadRequestError`."""
    if len(text) > DOCUMENT_CHARACTERS:
        raise BadRequestError(f"A GraphQL document may have at most {DOCUMENT_CHARACTERS} characters.")
    recorder = _Recorder()
    try:
        document = parse(text, max_tokens=DOCUMENT_TOKENS)
        result = (
            graphql_no_batching.check_query_safety(document)
            or _checked(document)
            or execute_sync(
                graphql_schema_extensions.schema.graphql_schema,
                document,
                variable_values=variables,
                operation_name=operation,
                middleware=MiddlewareManager(recorder),
            )
        )
    except (GraphQLError, TypeError, RecursionError) as error:
        raise BadRequestError(_UNREADABLE) from error
    # Without a call MLflow calls no resolver either: what comes before one is the library's alone.
    if result.errors and recorder.calls:
        raise BadRequestError(f"This GraphQL document is refused: {result.errors[0].message}")
    return tuple(recorder.calls)


def _checked(document: DocumentNode) -> ExecutionResult | None:
    errors = validate(graphql_schema_extensions.schema.graphql_schema, document)
    return ExecutionResult(errors=errors) if errors else None


class _Recorder:
    """Middleware of graphql-core that notes each field and computes none."""

    def __init__(self) -> None:
        self.calls: list[FieldCall] = []
        self._arguments: dict[str | int, Mapping[str, Any]] = {}

    def resolve(
        self, compute: Callable[..., Any], root: Any, info: GraphQLResolveInfo, **arguments: Any
    ) -> Any:
        """The stand-in for one field."""
        if info.field_name.startswith("__") or info.parent_type.name.startswith("__"):
            return _introspected(compute, root=root, info=info, arguments=arguments)
        keys = info.path.as_list()
        if len(keys) == 1:
            self._arguments[keys[0]] = {name: _as_read(value) for name, value in arguments.items()}
        self.calls.append(
            FieldCall(
                field=f"{info.parent_type.name}.{info.field_name}",
                computed=len(keys) == 1 or computed(info.parent_type, info.field_name),
                path=tuple("[]" if isinstance(key, int) else key for key in keys),
                arguments=self._arguments[keys[0]],
            )
        )
        return _stand_in(info.return_type)


def _introspected(
    compute: Callable[..., Any], *, root: Any, info: GraphQLResolveInfo, arguments: Mapping[str, Any]
) -> Any:
    """The schema itself is no secret, and large: no more of it than the executor insists on."""
    kind = info.return_type
    if not isinstance(kind, GraphQLNonNull):
        return None
    return [] if isinstance(kind.of_type, GraphQLList) else compute(root, info, **arguments)


def computed(kind: GraphQLObjectType, field: str) -> bool:
    """Whether graphene calls a function of MLflow's, and not its own that reads an attribute."""
    found = kind.fields[field]
    by_default = isinstance(found.resolve, partial) and found.resolve.func is get_default_resolver()
    return bool(found.args) or not by_default


def _stand_in(kind: GraphQLOutputType) -> Any:
    if isinstance(kind, GraphQLNonNull):
        kind = kind.of_type
    if isinstance(kind, GraphQLList):
        return [_stand_in(kind.of_type)]
    return _PRESENT if isinstance(kind, GraphQLObjectType) else None


def _as_read(value: Any) -> Any:
    """An argument as MLflow's resolvers read it, ``vars(input)``; None counts as not sent."""
    if isinstance(value, dict):
        return {key: _as_read(inner) for key, inner in vars(value).items() if inner is not None}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_as_read(inner) for inner in value]
    return value
