"""Request bodies: bytes and a media type to an object of the kind that the URL promises."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import yaml

from workspace_authz.devplane.embedded.kinds import Kind
from workspace_authz.devplane.embedded.objects import Object
from workspace_authz.devplane.embedded.schema import decode
from workspace_authz.devplane.embedded.status import bad_request, unsupported_media_type

JSON, YAML = "application/json", "application/yaml"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
PATCHES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, APPLY_PATCH)
_OBJECTS = (JSON, YAML)


def parse(body: bytes, media_type: str, *, accepted: Sequence[str] = _OBJECTS) -> Any:
    """Parse a body. Raises a 400 or 415."""
    if media_type not in accepted:
        raise unsupported_media_type(accepted)
    try:
        if media_type in (YAML, APPLY_PATCH):
            return yaml.safe_load(body)
        return json.loads(body)
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
