"""Sets of fields, as server-side apply records who owns what (``FieldsV1``).

A path is a tuple of steps: ``f:<key>`` into an object, ``k:{"name":"x"}`` into a list with keys,
``v:"x"`` into a set. https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from workspace_authz.devplane.embedded.objects import Object
from workspace_authz.devplane.embedded.schema import ListOf, MapOf, Schema, Struct

Path = tuple[str, ...]

MISSING = object()
"""What :func:`read` finds where there is nothing."""


def paths(schema: Schema, value: Any) -> Iterator[Path]:
    """The fields that ``value`` sets: the deepest that can be owned one by one."""
    if isinstance(schema, Struct | MapOf) and not _atomic(schema) and value:
        for key, item in value.items():
            inner = _inner(schema, key)
            below = paths(inner, item) if inner is not None else iter(((),))
            yield from ((f"f:{key}", *path) for path in below)
    elif isinstance(schema, ListOf) and schema.merge_key:
        for item in value:
            yield from ((_key_step(schema, item), *path) for path in paths(schema.items, item))
    elif isinstance(schema, ListOf) and schema.unique:
        yield from ((f"v:{json.dumps(item)}",) for item in value)
    else:
        yield ()


def merge(schema: Schema, live: Any, applied: Any) -> Any:
    """``live`` with every field that ``applied`` sets."""
    if isinstance(schema, Struct | MapOf) and not _atomic(schema) and isinstance(live, dict):
        merged = dict(live)
        for key, value in applied.items():
            inner = _inner(schema, key)
            merged[key] = merge(inner, live.get(key), value) if inner is not None else value
        return merged
    if isinstance(schema, ListOf) and schema.merge_key and live:
        items = {item[schema.merge_key]: item for item in live}
        for item in applied:
            key = item[schema.merge_key]
            items[key] = merge(schema.items, items.get(key), item)
        return list(items.values())
    if isinstance(schema, ListOf) and schema.unique and live:
        return list(dict.fromkeys((*live, *applied)))
    return applied


def read(value: Any, path: Path) -> Any:
    """The value at ``path``, or :data:`MISSING`."""
    for step in path:
        if step.startswith("f:"):
            value = value.get(step[2:], MISSING) if isinstance(value, dict) else MISSING
        else:
            value = next((item for item in value if _is_item(step, item)), MISSING)
        if value is MISSING:
            return MISSING
    return value


def without(schema: Schema, value: Any, path: Path) -> Any:
    """A copy of ``value`` without the field at ``path``. An item goes with its key, a parent when empty."""
    if read(value, path) is MISSING:
        return value
    step, *rest = path
    if step.startswith("f:"):
        key = step[2:]
        kept = {name: item for name, item in value.items() if name != key}
        inner = _inner(schema, key)
        if not rest or inner is None:
            return kept
        below = without(inner, value[key], tuple(rest))
        return {**value, key: below} if below else kept
    if isinstance(schema, ListOf) and rest and rest != [f"f:{schema.merge_key}"]:
        return [without(schema.items, item, tuple(rest)) if _is_item(step, item) else item for item in value]
    return [item for item in value if not _is_item(step, item)]


def encode(fields: Iterable[Path]) -> Object:
    """As ``fieldsV1``."""
    tree: Object = {}
    for path in sorted(fields):
        node = tree
        for step in path:
            node = node.setdefault(step, {})
    return tree


def decode(tree: Mapping[str, Any]) -> frozenset[Path]:
    """From ``fieldsV1``."""
    return frozenset(_leaves(tree))


def show(path: Path) -> str:
    """As a conflict names it: ``.data.key``, ``.secrets[name="x"].name``."""
    return "".join(f".{step[2:]}" if step.startswith("f:") else f"[{step[2:]}]" for step in path)


def _leaves(tree: Mapping[str, Any]) -> Iterator[Path]:
    for step, below in tree.items():
        if below:
            yield from ((step, *path) for path in _leaves(below))
        elif step != ".":
            yield (step,)


def _atomic(schema: Struct | MapOf) -> bool:
    return isinstance(schema, Struct) and schema.atomic


def _inner(schema: Schema, key: str) -> Schema | None:
    if isinstance(schema, MapOf):
        return schema.values
    return schema.fields.get(key) if isinstance(schema, Struct) else None


def _key_step(schema: ListOf, item: Mapping[str, Any]) -> str:
    key = {schema.merge_key: item.get(schema.merge_key)}
    return f"k:{json.dumps(key, separators=(',', ':'))}"


def _is_item(step: str, item: Any) -> bool:
    wanted = json.loads(step[2:])
    if step.startswith("v:"):
        return bool(item == wanted)
    return isinstance(item, dict) and wanted.items() <= item.items()


def join(sets: Sequence[frozenset[Path]]) -> frozenset[Path]:
    """Everything that any of them holds."""
    return frozenset().union(*sets)
