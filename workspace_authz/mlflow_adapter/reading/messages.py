"""What MLflow's handler will read in a request: read by MLflow's own code, so that both read the same.

An RPC's handler starts with ``handlers._get_request_message``: protobuf's camelCase, JSON in a JSON text, the
first of two query parameters, the last of two JSON keys, a body cut off by its Content-Length, a message
that is half filled because one field was wrong. Calling it is the only copy of it that stays true.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from flask import Request
from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message_factory import GetMessageClass
from mlflow.exceptions import MlflowException
from mlflow.protos import mlflow_artifacts_pb2, model_registry_pb2, service_pb2, webhooks_pb2
from mlflow.server import handlers
from werkzeug.exceptions import HTTPException

from workspace_authz.catalog.model import Route, Server
from workspace_authz.errors import BadRequestError, MlflowRefusedError

Headers = Iterable[tuple[bytes, bytes]]

_FILES: Final[tuple[FileDescriptor, ...]] = (
    service_pb2.DESCRIPTOR,
    model_registry_pb2.DESCRIPTOR,
    mlflow_artifacts_pb2.DESCRIPTOR,
    webhooks_pb2.DESCRIPTOR,
)


def _descriptors() -> dict[str, Descriptor]:
    """By the message's name, as which the catalog knows the operation; of two alike the tracking server's."""
    found: dict[str, Descriptor] = {}
    for file in _FILES:
        for service in file.services_by_name.values():
            for method in service.methods:
                found.setdefault(method.input_type.name, method.input_type)
    return found


_MESSAGES: Final[Mapping[str, Descriptor]] = _descriptors()


def read_message(
    route: Route, *, method: str, query: bytes, headers: Headers, body: bytes
) -> Mapping[str, Any]:
    """The fields that the handler of ``route`` gets, by their names in the protobuf message.

    Raises :class:`BadRequestError` where it would get none, or none that can be known here.
    """
    headers = list(headers)
    if any(name.replace(b"_", b"-") == b"content-encoding" for name, _ in headers):
        raise BadRequestError("An object can be named in a body only if that has no Content-Encoding.")
    try:
        if route.server is Server.FASTAPI and method == "GET":
            return _query_fields(query)
        if route.server is Server.FASTAPI:
            document = json.loads(body)
        else:
            request = Request(environ_of(method=method, query=query, headers=headers, body=body))
            descriptor = message_of(route)
            if descriptor is not None:
                message = handlers._get_request_message(GetMessageClass(descriptor)(), flask_request=request)
                fields: dict[str, Any] = MessageToDict(
                    message, preserving_proto_field_name=True, use_integers_for_enums=True
                )
                return fields
            document = request.get_json()
    except (ValueError, TypeError, AttributeError, RecursionError, MlflowException, HTTPException) as error:
        raise BadRequestError("The request does not name its objects in a way that MLflow reads.") from error
    if not isinstance(document, dict):
        raise BadRequestError("The body must be a JSON object.")
    return document


def refused_by_mlflow(error: MlflowException) -> MlflowRefusedError | None:
    """The answer that MLflow makes of ``error``; None where it is a failure of the server."""
    status: int = error.get_http_status_code()
    if status >= 500:
        return None
    return MlflowRefusedError(error.message, document=json.loads(error.serialize_as_json()), status=status)


def message_of(route: Route) -> Descriptor | None:
    """The protobuf message of a route's request; None where MLflow has none for it."""
    return _MESSAGES.get(route.operation)


def has_field(route: Route, field: str) -> bool:
    """Whether a request of ``route`` has ``field`` in the MLflow at hand.

    A route of FastAPI has no message: its fields are those that the catalog names.
    """
    if route.server is Server.FASTAPI:
        return True
    descriptor = message_of(route)
    return descriptor is not None and field in descriptor.fields_by_name


def _query_fields(query: bytes) -> dict[str, Any]:
    """FastAPI's parameters; a list of values where one stands twice."""
    values = parse_qs(query.decode("ascii"), keep_blank_values=True, errors="strict")
    return {name: found[0] if len(found) == 1 else found for name, found in values.items()}


def environ_of(*, method: str, query: bytes, headers: Headers, body: bytes) -> dict[str, Any]:
    """As :mod:`..patches.wsgi` makes it, through which MLflow gets its requests."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "QUERY_STRING": query.decode("ascii"),
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
    }
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        variable = name.upper().replace("-", "_")
        if name not in ("content-length", "content-type"):
            variable = f"HTTP_{variable}"
        environ[variable] = f"{environ[variable]},{value}" if variable in environ else value
    if body:
        environ.setdefault("CONTENT_LENGTH", str(len(body)))  # a body in chunks has none
    return environ
