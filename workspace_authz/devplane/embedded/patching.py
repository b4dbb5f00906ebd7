"""The three patches that change an object by describing the change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workspace_authz.devplane.embedded.objects import Object
from workspace_authz.devplane.embedded.schema import ListOf, MapOf, Schema, Struct
from workspace_authz.devplane.embedded.status import ApiError, bad_request

_ORDER = "$setElementOrder/"
_REMOVED = "$deleteFromPrimitiveList/"
_KEPT = "$retainKeys"
_DIRECTIVE = "$patch"


def json_patch(document: Object, operations: Any) -> Any:
    """RFC 6902. Raises a 400, or a 422 when an operation does not fit the document."""
    if not isinstance(operations, list) or not all(isinstance(each, dict) for each in operations):
        raise bad_request("a JSON patch is a list of operations")
    result: Any = document
    for operation in operations:
        try:
            result = _operate(result, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise _unfit(operation) from error
    return result


def _operate(document: Any, operation: Mapping[str, Any]) -> Any:
    kind, path = operation["op"], _pointer(operation["path"])
    match kind:
        case "add":
            return _edit(document, path, "add", operation["value"])
        case "replace":
            return _edit(document, path, "replace", operation["value"])
        case "remove":
            return _edit(document, path, "remove", None)
        case "test":
            if _read(document, path) != operation["value"]:
                raise ValueError("test failed")
            return document
        case "copy":
            return _edit(document, path, "add", _read(document, _pointer(operation["from"])))
        case "move":
            source = _pointer(operation["from"])
            return _edit(_edit(document, source, "remove", None), path, "add", _read(document, source))
    raise ValueError(f"unknown operation {kind!r}")


def _unfit(operation: Mapping[str, Any]) -> ApiError:
    what = f"{operation.get('op')} operation does not apply: {operation.get('path')}"
    return ApiError(422, "Invalid", f"the server rejected our request due to an error in our request: {what}")


def _pointer(text: str) -> Sequence[str]:
    if text and not text.startswith("/"):
        raise ValueError("a pointer begins with a slash")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _read(document: Any, path: Sequence[str]) -> Any:
    for key in path:
        document = document[_index(document, key, end=False)] if isinstance(document, list) else document[key]
    return document


def _edit(document: Any, path: Sequence[str], how: str, value: Any) -> Any:
    """A copy of ``document`` with one place changed."""
    if not path:
        return value
    key, *below = path
    copy = list(document) if isinstance(document, list) else dict(document)
    at: Any = _index(copy, key, end=how == "add" and not below) if isinstance(copy, list) else key
    if below:
        copy[at] = _edit(copy[at], below, how, value)
    elif how == "remove":
        del copy[at]
    elif isinstance(copy, list) and how == "add":
        copy.insert(at, value)
    elif how == "replace" and isinstance(copy, dict) and at not in copy:
        raise KeyError(at)
    else:
        copy[at] = value
    return copy


def _index(items: Sequence[Any], key: str, *, end: bool) -> int:
    if key == "-" and end:
        return len(items)
    index = int(key)
    if not 0 <= index < len(items) + end:
        raise IndexError(key)
    return index


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: objects merge, null removes, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def strategic_merge_patch(schema: Schema, target: Any, patch: Any) -> Any:
    """A merge patch that knows which lists have keys. Raises a 400 for a directive that does not exist."""
    if isinstance(patch, dict) and isinstance(schema, Struct | MapOf):
        return _merge_fields(schema, target if isinstance(target, dict) else {}, patch)
    return merge_patch(target, patch)


def _merge_fields(schema: Struct | MapOf, target: Mapping[str, Any], patch: Mapping[str, Any]) -> Any:
    directive = patch.get(_DIRECTIVE, "merge")
    content = {key: value for key, value in patch.items() if not key.startswith("$")}
    if directive == "replace":
        return content
    if directive == "delete":
        return {}
    if directive != "merge":
        raise bad_request(f"Unknown patch type found: {directive}")
    merged = {key: value for key, value in target.items() if key in patch.get(_KEPT, target)}
    for key, value in patch.items():
        if key.startswith(_REMOVED):
            field = key.removeprefix(_REMOVED)
            merged[field] = [item for item in merged.get(field) or () if item not in value]
    for key, value in content.items():
        inner = schema.values if isinstance(schema, MapOf) else schema.fields.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(inner, ListOf) and isinstance(value, list):
            merged[key] = _merge_list(inner, merged.get(key) or [], value)
        elif inner is None:
            merged[key] = merge_patch(merged.get(key), value)
        else:
            merged[key] = strategic_merge_patch(inner, merged.get(key), value)
    for key, order in patch.items():
        if key.startswith(_ORDER):
            _reorder(schema, merged, key.removeprefix(_ORDER), order)
    return merged


def _merge_list(schema: ListOf, target: Sequence[Any], patch: Sequence[Any]) -> list[Any]:
    if schema.unique:
        return list(dict.fromkeys((*target, *patch)))
    if not schema.merge_key:
        return [item for item in patch if item != {_DIRECTIVE: "replace"}]
    if {_DIRECTIVE: "replace"} in patch:
        return [item for item in patch if item != {_DIRECTIVE: "replace"}]
    merged = {item[schema.merge_key]: item for item in target}
    for item in patch:
        if (key := item.get(schema.merge_key)) is None:
            raise bad_request(f"map does not contain declared merge key: {schema.merge_key}")
        if item.get(_DIRECTIVE) == "delete":
            merged.pop(key, None)
        else:
            merged[key] = strategic_merge_patch(schema.items, merged.get(key), item)
    return list(merged.values())


def _reorder(schema: Struct | MapOf, merged: Object, field: str, order: Sequence[Any]) -> None:
    inner = schema.fields.get(field) if isinstance(schema, Struct) else None
    if not isinstance(inner, ListOf) or field not in merged:
        return
    key = inner.merge_key
    wanted = [item.get(key) if key else item for item in order]
    position = {value: index for index, value in enumerate(wanted)}
    merged[field] = sorted(
        merged[field], key=lambda item: position.get(item.get(key) if key else item, len(wanted))
    )
