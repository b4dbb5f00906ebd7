"""The effect of a route's identity stamps: MLflow gets a request that names the caller."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Final

from workspace_authz.catalog.model import Route
from workspace_authz.catalog.stamp import Shape, Stamp
from workspace_authz.effects.json_stamps import Author, stamped_document
from workspace_authz.effects.rewriting import RequestReplacement
from workspace_authz.mlflow_adapter.reading.documents import parse
from workspace_authz.mlflow_adapter.reading.reader import PROTOBUF, RequestReader

_IN_THREAD: Final = 32 * 1024
"""Bytes. From this size on, a worker thread writes."""


async def plan_stamps(
    reader: RequestReader, route: Route, *, author: Author, base: RequestReplacement | None
) -> RequestReplacement | None:
    """The request with ``author`` at each stamp of ``route``; ``base`` if the route has no stamps.

    ``base`` is what another effect has put in the place of the request. Raises :class:`BadRequestError` for a
    body that is too large or cannot be understood, and :class:`UndeliveredBodyError`.
    """
    stamps = author.stamps(route.stamps)
    if not stamps:
        return base
    if any(stamp.shape is Shape.SPANS for stamp in stamps):
        return await _stamped_spans(reader, stamps, author=author)
    if base is not None:
        document, size = parse(base.content).as_object(), len(base.content)
    else:
        document = await reader.document()
        size = len(await reader.content() or b"")
    write = partial(stamped_document, document, stamps, author=author)
    content = write() if size < _IN_THREAD else await asyncio.to_thread(write)
    return RequestReplacement(content, query=base.query if base else None)


async def _stamped_spans(
    reader: RequestReader, stamps: Iterable[Stamp], *, author: Author
) -> RequestReplacement:
    spans = await reader.spans()
    kept = [stamp for stamp in stamps if not author.keeps(stamp)]
    name = author.user.recorded_name
    return RequestReplacement(await asyncio.to_thread(spans.stamped, kept, name), PROTOBUF)
