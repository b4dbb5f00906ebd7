"""OpenAPI v3 of the served kinds, made from their schemas: what kubectl needs to create and apply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workspace_authz.devplane.embedded.kinds import Kind
from workspace_authz.devplane.embedded.objects import Object
from workspace_authz.devplane.embedded.schema import ListOf, MapOf, Opaque, Scalar, Schema

_INDEX = "/openapi/v3"
_PARAMETERS = [
    {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
    for name in ("dryRun", "fieldManager", "fieldValidation")
]


def openapi_v3(roots: Mapping[str, Sequence[Kind]]) -> Mapping[str, Object]:
    """The documents by path: an index, and one for each root (``api/v1``, ``apis/<group>/v1``)."""
    index = {root: {"serverRelativeURL": f"{_INDEX}/{root}"} for root in roots}
    return {_INDEX: {"paths": index}, **{f"{_INDEX}/{root}": _document(root, roots[root]) for root in roots}}


def _document(root: str, served: Sequence[Kind]) -> Object:
    paths: Object = {}
    for kind in served:
        paths |= _paths(root, kind)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes, as much as the development control plane serves", "version": "v1"},
        "paths": paths,
        "components": {"schemas": {_component(kind): _schema_of(kind) for kind in served}},
    }


def _paths(root: str, kind: Kind) -> Object:
    scope = "/namespaces/{namespace}" if kind.namespaced else ""
    collection = f"/{root}{scope}/{kind.resource}"
    if kind.subresource:
        return {f"{collection}/{{name}}/{kind.subresource}": {"post": _operation(kind, "post")}}
    return {
        collection: {"post": _operation(kind, "post"), "get": _operation(kind, "list")},
        f"{collection}/{{name}}": {action: _operation(kind, action) for action in ("get", "put", "patch")},
    }


def _operation(kind: Kind, action: str) -> Object:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{_component(kind)}"}}}
    operation: Object = {
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _gvk(kind),
        "responses": {"200": {"description": "OK", "content": content}},
    }
    if action in ("post", "put", "patch"):
        operation |= {"parameters": _PARAMETERS, "requestBody": {"content": content}}
    return operation


def _schema_of(kind: Kind) -> Object:
    return {**_schema(kind.schema), "x-kubernetes-group-version-kind": [_gvk(kind)]}


def _schema(schema: Schema) -> Object:
    match schema:
        case Scalar():
            return {"type": schema.type, **({"format": schema.format} if schema.format else {})}
        case Opaque():
            return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        case MapOf():
            return {"type": "object", "additionalProperties": _schema(schema.values)}
        case ListOf():
            return {"type": "array", "items": _schema(schema.items), **_list_type(schema)}
        case _:
            properties = {key: _schema(value) for key, value in schema.fields.items()}
            return {"type": "object", "properties": properties}


def _list_type(schema: ListOf) -> Object:
    if schema.merge_key:
        return {
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": [schema.merge_key],
            "x-kubernetes-patch-merge-key": schema.merge_key,
            "x-kubernetes-patch-strategy": "merge",
        }
    if schema.unique:
        return {"x-kubernetes-list-type": "set", "x-kubernetes-patch-strategy": "merge"}
    return {"x-kubernetes-list-type": "atomic"}


def _component(kind: Kind) -> str:
    group = kind.group.partition(".")[0] or "core"
    return f"io.k8s.api.{group}.v1.{kind.kind}"


def _gvk(kind: Kind) -> Object:
    return {"group": kind.group, "version": "v1", "kind": kind.kind}
