"""Request bodies in Kubernetes' protobuf encoding, which kubectl's typed commands send and nothing else.

Four magic bytes, then a ``runtime.Unknown`` message with kind, version and the object's own message.
Field numbers follow from the schemas (:attr:`~.schema.Struct.numbers`). Answers are JSON, which every
client accepts. https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from workspace_authz.devplane.embedded.objects import Object, timestamp
from workspace_authz.devplane.embedded.schema import STRING, ListOf, MapOf, Opaque, Scalar, Schema, Struct

_MAGIC = b"k8s\x00"
_TYPE_META = Struct({"apiVersion": STRING, "kind": STRING})
_TIME = Struct({"seconds": Scalar("integer"), "nanos": Scalar("integer")})

Wire = int | bytes
"""A field's value before its type is known: a number, or some bytes."""


def decode_protobuf(schema: Struct, body: bytes) -> Object:
    """An object with ``apiVersion`` and ``kind``. Raises ``ValueError`` for anything else."""
    if not body.startswith(_MAGIC):
        raise ValueError("not a Kubernetes protobuf object")
    head: Object = {}
    content = b""
    for number, value in _fields(body[len(_MAGIC) :]):
        if number == 1:
            head = _struct(_TYPE_META, _message(value))
        elif number == 2:
            content = _message(value)
        elif number == 3 and value:
            raise ValueError("an encoded object")
    return {**_struct(schema, content), **head}


def _struct(schema: Struct, message: bytes) -> Object:
    decoded: Object = {}
    numbers = schema.numbers
    for number, value in _fields(message):
        if (key := numbers.get(number)) is None:
            continue
        inner = schema.fields[key]
        if isinstance(inner, ListOf):
            decoded.setdefault(key, []).append(_value(inner.items, value))
        elif isinstance(inner, MapOf):
            decoded.setdefault(key, {}).update([_entry(inner.values, _message(value))])
        elif not isinstance(inner, Opaque):
            decoded[key] = _value(inner, value)
    return decoded


def _entry(schema: Schema, message: bytes) -> tuple[str, Any]:
    fields = dict(_fields(message))
    key, value = _message(fields.get(1, b"")).decode(), fields.get(2, b"")
    if isinstance(schema, ListOf):  # a list inside a map is a message of its own
        return key, [_value(schema.items, item) for _, item in _fields(_message(value))]
    return key, _value(schema, value)


def _value(schema: Schema, value: Wire) -> Any:
    if isinstance(schema, Struct):
        return _struct(schema, _message(value))
    if not isinstance(schema, Scalar):
        return None
    match schema.type, schema.format:
        case "boolean", _:
            return bool(value)
        case "integer", _:
            number = int.from_bytes(value, "little") if isinstance(value, bytes) else value
            return number - (1 << 64) if number >> 63 else number
        case _, "byte":
            return base64.b64encode(_message(value)).decode("ascii")
        case _, "date-time":
            moment = _struct(_TIME, _message(value))
            return timestamp(moment["seconds"]) if moment.get("seconds") else None
        case _:
            return _message(value).decode()


def _message(value: Wire) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a number where bytes belong")
    return value


def _fields(message: bytes) -> Iterator[tuple[int, Wire]]:
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        match tag & 7:
            case 0:
                value, at = _varint(message, at)
                yield tag >> 3, value
                continue
            case 1:
                size = 8
            case 2:
                size, at = _varint(message, at)
            case 5:
                size = 4
            case _:
                raise ValueError("an unknown wire type")
        if at + size > len(message):
            raise ValueError("a field that is cut off")
        yield tag >> 3, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("a number that is cut off")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number that is too long")
