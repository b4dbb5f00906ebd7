"""Request bodies: bytes and a media type to an object of the kind that the URL names, or to a patch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from workspace_authz.devplane.embedded.kinds import DELETE_OPTIONS, Kind
from workspace_authz.devplane.embedded.objects import Object
from workspace_authz.devplane.embedded.protobuf import decode_protobuf
from workspace_authz.devplane.embedded.schema import ListOf, MapOf, Schema, Struct, decode
from workspace_authz.devplane.embedded.status import ApiError, bad_request, unsupported_media_type

JSON = "application/json"
PROTOBUF = "application/vnd.kubernetes.protobuf"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
_OBJECTS = (JSON, PROTOBUF)
_PATCHES = (MERGE_PATCH, STRATEGIC_MERGE_PATCH)


@dataclass(frozen=True, slots=True)
class Body:
    """What came with a request."""

    content: bytes
    media_type: str


def parse_object(kind: Kind, body: Body, *, field_validation: str) -> Object:
    """Parse an object of ``kind``; see :func:`decode_object`. Raises a 400 or 415."""
    return decode_object(kind, _parse(kind.schema, body), field_validation=field_validation)


def parse_delete_options(body: Body) -> Object:
    """Parse what comes with a deletion, if anything does. Raises a 400 or 415."""
    if not body.content:
        return {}
    return decode(DELETE_OPTIONS, _parse(DELETE_OPTIONS, body), what="DeleteOptions").value


def parse_patch(kind: Kind, body: Body) -> Any:
    """Parse a patch that :func:`merge_patch` applies. Raises a 400, 415 or 422.

    A strategic merge patch that has no directive and no list to merge item by item is a merge patch. Any
    other is refused: ``kubectl apply`` sends it for few fields of the kinds that are served here.
    """
    if body.media_type not in _PATCHES:
        raise ApiError(415, "UnsupportedMediaType", message="415: Unsupported Media Type", details={})
    patch = _json(body)
    if body.media_type == STRATEGIC_MERGE_PATCH:
        _require_merge_patch(kind.schema, patch, path="")
    return patch


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


def _require_merge_patch(schema: Schema | None, patch: Any, *, path: str) -> None:
    if isinstance(schema, ListOf) and schema.merged and patch is not None:
        raise _unsupported_patch(path)
    if not isinstance(patch, dict):
        return
    for key, value in patch.items():
        if key.startswith("$"):
            raise _unsupported_patch(f"{path}.{key}")
        _require_merge_patch(_field(schema, key), value, path=f"{path}.{key}")


def _field(schema: Schema | None, key: str) -> Schema | None:
    if isinstance(schema, MapOf):
        return schema.values
    return schema.fields.get(key) if isinstance(schema, Struct) else None


def _unsupported_patch(path: str) -> ApiError:
    message = (
        f"the embedded engine cannot apply a strategic merge patch of {path.removeprefix('.')}: "
        "send a merge patch, or use the engine kube-apiserver"
    )
    return ApiError(422, "Invalid", message=message)


def _parse(schema: Struct, body: Body) -> Any:
    if body.media_type not in _OBJECTS:
        raise unsupported_media_type(_OBJECTS)
    if body.media_type == JSON:
        return _json(body)
    try:
        return decode_protobuf(schema, body.content)
    except ValueError:
        raise _unreadable() from None


def _json(body: Body) -> Any:
    try:
        return json.loads(body.content)
    except ValueError:
        raise _unreadable() from None


def _unreadable() -> ApiError:
    return bad_request("the object provided is unrecognized: it cannot be parsed")


def decode_object(kind: Kind, document: Any, *, field_validation: str) -> Object:
    """An object of ``kind``, reduced to the fields that the kind has.

    ``field_validation`` is the query parameter ``fieldValidation``. Raises a 400 for another kind and for a
    field of the wrong type; with ``Strict`` for an unknown field, too.
    """
    if not isinstance(document, dict):
        raise bad_request(f"a {kind.kind} is an object")
    version, name = document.get("apiVersion", kind.api_version), document.get("kind", kind.kind)
    if (version, name) != (kind.api_version, kind.kind):
        raise bad_request(
            f"the API version and kind in the data ({version}, Kind={name}) do not match the expected ones "
            f"({kind.api_version}, Kind={kind.kind})"
        )
    decoded = decode(kind.schema, {"metadata": {}, **document}, what=kind.kind)
    if decoded.unknown and field_validation == "Strict":
        fields = ", ".join(f'unknown field "{path}"' for path in decoded.unknown)
        raise bad_request(
            f'{kind.kind} in version "v1" cannot be handled as a {kind.kind}: strict decoding error: {fields}'
        )
    return decoded.value
