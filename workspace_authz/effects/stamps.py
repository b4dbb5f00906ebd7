"""The effect of a route's stamps: the request that MLflow sees instead of the one that came."""

from __future__ import annotations

import asyncio
from typing import Final

from workspace_authz.catalog.model import Route
from workspace_authz.catalog.stamp import Shape
from workspace_authz.effects.json_stamps import stamped_body
from workspace_authz.effects.replacement import Replacement
from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.request import AccessRequest
from workspace_authz.mlflow_adapter.reading.span_stamps import JSON, PROTOBUF, stamped_spans
from workspace_authz.restrictions.trace_locations import decompressed, only_header
from workspace_authz.types import UserInfo

STAMPED_BYTES: Final = 64 * 2**20
"""The largest body that is rewritten: records of a dataset come many at once. MLflow reads it whole, too."""

_ELSEWHERE: Final = 32 * 1024
"""From this many bytes on, a worker thread rewrites."""


async def stamped(request: AccessRequest, route: Route, *, user: UserInfo) -> Replacement | None:
    """The body with ``user`` at each of the route's stamps, or None if the route has none.

    Raises :class:`BadRequestError` for a body that is too large or cannot be understood.
    """
    if not route.stamps:
        return None
    body = await request.body.read(STAMPED_BYTES)
    if body is None:
        raise BadRequestError(f"This request is refused: its body exceeds {STAMPED_BYTES} bytes.")
    rewrite = _spans if any(stamp.shape is Shape.SPANS for stamp in route.stamps) else _document
    if len(body) < _ELSEWHERE:
        return rewrite(request, route, body, user)
    return await asyncio.to_thread(rewrite, request, route, body, user)


def _document(request: AccessRequest, route: Route, body: bytes, user: UserInfo) -> Replacement:
    if only_header(request, b"content-encoding").strip().lower() not in (b"", b"identity"):
        raise BadRequestError("This request is refused: its body must not be compressed.")
    return Replacement(stamped_body(body, route.stamps, user=user))


def _spans(request: AccessRequest, route: Route, body: bytes, user: UserInfo) -> Replacement:
    media_type = only_header(request, b"content-type").partition(b";")[0].strip()
    if media_type not in (PROTOBUF, JSON):
        raise BadRequestError("Spans are taken as application/x-protobuf or application/json.")
    content = decompressed(body, only_header(request, b"content-encoding").lower())
    spans = stamped_spans(content, route.stamps, user=user, as_json=media_type == JSON)
    return Replacement(spans, PROTOBUF)
