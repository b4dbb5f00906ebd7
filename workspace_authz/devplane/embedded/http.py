"""HTTP in and out: the low-level parts of requests and responses."""

from __future__ import annotations

import json
import ssl
from typing import Any

from aiohttp import web

from workspace_authz.devplane.embedded.authentication import ClientCertificate
from workspace_authz.devplane.embedded.bodies import Body
from workspace_authz.devplane.embedded.status import ApiError

_BODY_LIMIT = 3 * 1024 * 1024  # kube-apiserver's


def encode(document: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def json_response(document: Any, *, status: int = 200) -> web.Response:
    """A JSON answer."""
    headers = {"Cache-Control": "no-cache, private"}
    return web.Response(
        body=encode(document), status=status, content_type="application/json", headers=headers
    )


def failure(error: ApiError) -> web.Response:
    """A failure ``Status``."""
    response = json_response(error.body(), status=error.code)
    if (seconds := (error.details or {}).get("retryAfterSeconds")) is not None:
        response.headers["Retry-After"] = str(seconds)
    return response


async def read_body(request: web.BaseRequest) -> Body:
    """The body, and its media type without parameters. Raises a 413."""
    content = bytearray()
    async for chunk in request.content.iter_any():
        content += chunk
        if len(content) > _BODY_LIMIT:
            raise ApiError(
                413, "RequestEntityTooLarge", message=f"Request entity too large: limit is {_BODY_LIMIT}"
            )
    media_type = request.headers.get("Content-Type", "application/json").partition(";")[0].strip().lower()
    return Body(bytes(content), media_type)


def client_certificate(request: web.BaseRequest) -> ClientCertificate | None:
    """The certificate that the caller proved to own when the connection was made."""
    connection = request.transport.get_extra_info("ssl_object") if request.transport is not None else None
    if not isinstance(connection, ssl.SSLObject):
        return None
    parsed, encoded = connection.getpeercert(), connection.getpeercert(binary_form=True)
    return ClientCertificate.of(parsed, encoded) if parsed and encoded else None
