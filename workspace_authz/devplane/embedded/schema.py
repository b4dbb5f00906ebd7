"""The shape of an object: which fields it has, and of which type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from workspace_authz.devplane.embedded.objects import Object
from workspace_authz.devplane.embedded.status import bad_request


@dataclass(frozen=True, slots=True)
class Scalar:
    """A string, number or boolean."""

    type: Literal["string", "integer", "boolean"]
    format: str = ""


@dataclass(frozen=True, slots=True)
class Opaque:
    """An object that nobody looks into."""


@dataclass(frozen=True, slots=True)
class MapOf:
    """An object with free keys. An entry may be empty; a patch merges by key."""

    values: Schema


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list."""

    items: Schema
    merged: bool = False
    """Whether a strategic merge patch merges it item by item; it replaces any other list."""


@dataclass(frozen=True, slots=True)
class Struct:
    """An object with fixed fields, in the order of their protobuf field numbers."""

    fields: Mapping[str, Schema]
    renumbered: Mapping[str, int] = field(default_factory=dict)
    """Protobuf numbers that are not the field's position, counted from 1."""
    kept: frozenset[str] = field(default=frozenset())
    """Fields that are written out even when they are empty."""

    @property
    def numbers(self) -> Mapping[int, str]:
        """Field by protobuf number."""
        return {self.renumbered.get(key, index): key for index, key in enumerate(self.fields, 1)}


Schema = Scalar | Opaque | MapOf | ListOf | Struct

STRING = Scalar("string")
INTEGER = Scalar("integer", "int64")
BOOLEAN = Scalar("boolean")
BYTES = Scalar("string", "byte")
TIME = Scalar("string", "date-time")
STRINGS = ListOf(STRING)

_PYTHON_TYPES: Final[Mapping[str, type]] = MappingProxyType({"string": str, "integer": int, "boolean": bool})


@dataclass(frozen=True, slots=True)
class Decoded:
    """A value reduced to the fields of its schema, and the paths of those that were dropped."""

    value: Object
    unknown: Sequence[str]


def decode(schema: Struct, value: object, *, what: str) -> Decoded:
    """Check types, and drop nulls, empty fields and unknown fields.

    Raises a 400 :class:`~.status.ApiError` that names the field; ``what`` is the kind.
    """
    unknown: list[str] = []
    decoded = _decode(schema, value, path="", unknown=unknown, what=what)
    return Decoded(decoded, unknown)


def _decode(schema: Schema, value: object, *, path: str, unknown: list[str], what: str) -> Any:
    match schema:
        case Scalar():
            if type(value) is not _PYTHON_TYPES[schema.type]:
                raise _wrong_type(path, schema.type, value=value, what=what)
            return value
        case Opaque():
            return value
        case ListOf():
            if not isinstance(value, list):
                raise _wrong_type(path, "array", value=value, what=what)
            return [
                _decode(schema.items, item, path=f"{path}[{index}]", unknown=unknown, what=what)
                for index, item in enumerate(value)
            ]
        case MapOf():
            if not isinstance(value, dict):
                raise _wrong_type(path, "object", value=value, what=what)
            return {
                key: _decode(schema.values, item, path=f"{path}.{key}", unknown=unknown, what=what)
                for key, item in value.items()
            }
        case Struct():
            return _decode_struct(schema, value, path=path, unknown=unknown, what=what)


def _decode_struct(schema: Struct, value: object, *, path: str, unknown: list[str], what: str) -> Object:
    if not isinstance(value, dict):
        raise _wrong_type(path, "object", value=value, what=what)
    decoded: Object = {}
    for key, item in value.items():
        below = f"{path}.{key}" if path else key
        if (inner := schema.fields.get(key)) is None:
            unknown.append(below)
        elif item is not None:
            result = _decode(inner, item, path=below, unknown=unknown, what=what)
            if result not in ("", [], {}) or key in schema.kept or isinstance(inner, Struct):
                decoded[key] = result
    return decoded


def _wrong_type(path: str, wanted: str, *, value: object, what: str) -> Exception:
    names = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}
    got = names.get(type(value), "null")
    return bad_request(
        f'{what} in version "v1" cannot be handled as a {what}: json: cannot unmarshal {got} into '
        f"field {what}.{path} of type {wanted}"
    )
