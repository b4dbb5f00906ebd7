"""A GraphQL document that asks the same with other arguments: written anew, and never trusted unread.

What is written here is read back by :mod:`.documents` before MLflow gets it, so a mistake refuses a request
and lets none through.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInputField,
    GraphQLInputObjectType,
    NameNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Undefined,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    get_named_type,
    parse,
    parse_type,
    print_ast,
    separate_operations,
    value_from_ast_untyped,
    visit,
)

from workspace_authz.catalog.graphql import INPUT, Changes
from workspace_authz.mlflow_adapter.compat import optional_module
from workspace_authz.mlflow_adapter.reading.graphql import DOCUMENT_TOKENS, read_document
from workspace_authz.mlflow_adapter.reading.messages import Headers

graphql_schema_extensions = optional_module("mlflow.server.graphql.graphql_schema_extensions")


def changed_document(changes: Changes, *, method: str, query: bytes, headers: Headers, body: bytes) -> bytes:
    """The JSON body with the operation that the request executes, its arguments changed by ``changes``.

    For a request that :func:`.documents.read_calls` has read; raises :class:`BadRequestError` for others.
    """
    sent = read_document(method=method, query=query, headers=headers, body=body)
    executed = _executed(parse(sent.text, no_location=True, max_tokens=DOCUMENT_TOKENS), sent.operation)
    variables = _values(executed.operation, sent.variables or {})
    wanted = {field.alias.value if field.alias else field.name.value: field for field in executed.top_level()}
    taken = {each.variable.name.value for each in executed.operation.variable_definitions}
    written: list[VariableDefinitionNode] = []
    for key, values in changes.items():
        name = f"narrowed_{key}"
        while name in taken:
            name += "_"
        taken.add(name)
        kind = _input_of(executed.operation, wanted[key])
        given = _argument(wanted[key], variables)
        variables[name] = {**given, **{_spelt(kind, field): value for field, value in values.items()}}
        written.append(_declared(name, kind))
        for field in executed.top_level():
            if (field.alias or field.name).value == key:
                field.arguments = (ArgumentNode(name=NameNode(value=INPUT), value=_variable(name)),)
    used = executed.variables()
    executed.operation.variable_definitions = tuple(
        each
        for each in (*executed.operation.variable_definitions, *written)
        if each.variable.name.value in used
    )
    document = {
        "query": print_ast(executed.document),
        "variables": {name: value for name, value in variables.items() if name in used},
        "operationName": sent.operation,
    }
    return json.dumps(document).encode()


@dataclass(frozen=True, slots=True)
class _Executed:
    """The operation that MLflow executes, with the fragments that it needs."""

    document: DocumentNode
    operation: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]

    def top_level(self) -> Iterator[FieldNode]:
        """The fields of the query or mutation itself, each as often as it is spread."""
        waiting: list[SelectionSetNode] = [self.operation.selection_set]
        while waiting:
            for selection in waiting.pop().selections:
                if isinstance(selection, FieldNode):
                    yield selection
                elif isinstance(selection, FragmentSpreadNode):
                    waiting.append(self.fragments[selection.name.value].selection_set)
                else:
                    waiting.append(selection.selection_set)  # type: ignore[attr-defined]  # an inline fragment

    def variables(self) -> set[str]:
        """The names of those that are used."""
        found = _Variables()
        for node in (
            self.operation.selection_set,
            *self.operation.directives,
            *self.fragments.values(),
        ):
            visit(node, found)
        return found.names


class _Variables(Visitor):
    """Collects the names of variables."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        """One use."""
        self.names.add(node.name.value)


def _executed(document: DocumentNode, name: str | None) -> _Executed:
    operations = separate_operations(document)
    alone = operations[name] if name is not None else next(iter(operations.values()))
    (operation,) = (node for node in alone.definitions if isinstance(node, OperationDefinitionNode))
    fragments = {
        node.name.value: node for node in alone.definitions if isinstance(node, FragmentDefinitionNode)
    }
    return _Executed(alone, operation, fragments)


def _values(operation: OperationDefinitionNode, sent: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of ``operation``: as they were sent, or else their defaults."""
    found: dict[str, Any] = {}
    for declared in operation.variable_definitions:
        name = declared.variable.name.value
        if name in sent:
            found[name] = sent[name]
        elif declared.default_value is not None:
            found[name] = value_from_ast_untyped(declared.default_value)
    return found


def _argument(field: FieldNode, variables: dict[str, Any]) -> dict[str, Any]:
    """The input object that the field has in the document, as JSON; what was not sent is not in it."""
    for argument in field.arguments:
        given = value_from_ast_untyped(argument.value, variables)
        if isinstance(given, dict):
            return {name: _sent(value) for name, value in given.items() if value is not Undefined}
    return {}


def _sent(value: Any) -> Any:
    if isinstance(value, list):
        return [_sent(each) for each in value]
    return None if value is Undefined else value


def _input_of(operation: OperationDefinitionNode, field: FieldNode) -> GraphQLInputObjectType:
    root = graphql_schema_extensions.schema.graphql_schema.get_root_type(operation.operation)
    kind: GraphQLInputObjectType = get_named_type(root.fields[field.name.value].args[INPUT].type)
    return kind


def _spelt(kind: GraphQLInputObjectType, wanted: str) -> str:
    """The field of the input object that MLflow's function reads as ``wanted``."""
    fields: Iterable[tuple[str, GraphQLInputField]] = kind.fields.items()
    return next(name for name, field in fields if (field.out_name or name) == wanted)


def _declared(name: str, kind: GraphQLInputObjectType) -> VariableDefinitionNode:
    return VariableDefinitionNode(
        variable=_variable(name), type=parse_type(kind.name), default_value=None, directives=()
    )


def _variable(name: str) -> VariableNode:
    return VariableNode(name=NameNode(value=name))
