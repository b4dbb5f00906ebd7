"""The three patches that change an object by describing the change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    for key, removed in _about(patch, _REMOVED).items():
        merged[key] = [item for item in merged.get(key) or () if item not in removed]
    orders = _about(patch, _ORDER)
    for key in orders.keys() - content.keys():
        content[key] = []
    for key, value in content.items():
        inner = schema.values if isinstance(schema, MapOf) else schema.fields.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(inner, ListOf) and isinstance(value, list):
            merged[key] = _merge_list(inner, merged.get(key) or [], value, order=orders.get(key))
        elif inner is None:
            merged[key] = merge_patch(merged.get(key), value)
        else:
            merged[key] = strategic_merge_patch(inner, merged.get(key), value)
    return merged


def _about(patch: Mapping[str, Any], directive: str) -> dict[str, list[Any]]:
    """What a directive says, by the field that it is about."""
    return {key.removeprefix(directive): value for key, value in patch.items() if key.startswith(directive)}


def _merge_list(
    schema: ListOf, live: Sequence[Any], patch: list[Any], *, order: list[Any] | None
) -> list[Any]:
    replaces = {_DIRECTIVE: "replace"} in patch
    patch = [item for item in patch if item != {_DIRECTIVE: "replace"}]
    if replaces or not (schema.merge_key or schema.unique):
        return patch
    identify = _identifier(schema)
    items = {identify(item): item for item in live}
    for item in patch:
        key = identify(item)
        if isinstance(item, dict) and item.get(_DIRECTIVE) == "delete":
            items.pop(key, None)
        else:
            items[key] = strategic_merge_patch(schema.items, items.get(key), item)
    wanted = [key for key in map(identify, patch if order is None else order) if key in items]
    others = [key for key in items if key not in wanted]
    return [items[key] for key in _interleaved(others, wanted, [identify(item) for item in live])]


def _identifier(schema: ListOf) -> Callable[[Any], Any]:
    if not schema.merge_key:
        return lambda item: item

    def identify(item: Mapping[str, Any]) -> Any:
        if schema.merge_key not in item:
            # An internal error in kube-apiserver, too.
            raise ApiError(500, "", f"{item} does not contain declared merge key: {schema.merge_key}")
        return item[schema.merge_key]

    return identify


def _interleaved(others: list[Any], wanted: list[Any], live: list[Any]) -> list[Any]:
    """The patch's order for what it names; the rest goes before an item only where it did so already."""
    result = []
    while others and wanted:
        known = others[0] in live and wanted[0] in live
        first = known and live.index(others[0]) < live.index(wanted[0])
        result.append((others if first else wanted).pop(0))
    return [*result, *others, *wanted]
