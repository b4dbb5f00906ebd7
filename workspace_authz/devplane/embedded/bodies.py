"""Request bodies: bytes and a media type to an object of the kind that the URL promises."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import yaml

from workspace_authz.devplane.embedded.kinds import DELETE_OPTIONS, Kind
from workspace_authz.devplane.embedded.objects import Object
from workspace_authz.devplane.embedded.protobuf import decode_protobuf
from workspace_authz.devplane.embedded.schema import Struct, decode
from workspace_authz.devplane.embedded.status import ApiError, bad_request, unsupported_media_type

JSON, YAML = "application/json", "application/yaml"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
PATCHES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, APPLY_PATCH)
_OBJECTS = (JSON, YAML, PROTOBUF)


@dataclass(frozen=True, slots=True)
class Body:
    """What came with a request."""

    content: bytes
    media_type: str


def parse_patch(body: Body) -> Any:
    """Parse one of :data:`PATCHES`. Raises a 400 or 415."""
    if body.media_type not in PATCHES:
        raise ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", details={})
    return _parse(None, body)


def parse_object(kind: Kind, body: Body, *, field_validation: str) -> Object:
    """Parse an object of ``kind``; see :func:`decode_object`. Raises a 400 or 415."""
    if body.media_type not in _OBJECTS:
        raise unsupported_media_type(_OBJECTS)
    return decode_object(kind, _parse(kind.schema, body), field_validation=field_validation)


def parse_delete_options(body: Body) -> Object:
    """Parse what comes with a deletion, if anything does. Raises a 400 or 415."""
    if not body.content:
        return {}
    if body.media_type not in _OBJECTS:
        raise unsupported_media_type(_OBJECTS)
    return decode(DELETE_OPTIONS, _parse(DELETE_OPTIONS, body), what="DeleteOptions").value


def _parse(schema: Struct | None, body: Body) -> Any:
    try:
        if body.media_type == PROTOBUF and schema is not None:
            return decode_protobuf(schema, body.content)
        if body.media_type in (YAML, APPLY_PATCH):
            return yaml.safe_load(body.content)
        return json.loads(body.content)
    except (ValueError, yaml.YAMLError):
        raise bad_request("the object provided is unrecognized: it cannot be parsed") from None


def decode_object(kind: Kind, document: Any, *, field_validation: str) -> Object:
    """An object of ``kind``, reduced to the fields that the kind has.

    ``field_validation`` is the query parameter ``fieldValidation``: with ``Strict`` an unknown field is a
    400. So is another kind, or a field of the wrong type, in any case.
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
