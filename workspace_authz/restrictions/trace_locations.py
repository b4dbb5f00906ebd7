"""Tags that tell the server where a trace's data lie: it opens whatever place they name, as itself.

MLflow writes them; its SDK sends none (``mlflow.utils.mlflow_tags.IMMUTABLE_TAGS``).
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from typing import Any, Final

from workspace_authz.errors import BadRequestError, ForbiddenError
from workspace_authz.mlflow_adapter.reading.documents import parse_object, plain, texts
from workspace_authz.mlflow_adapter.reading.request import AccessRequest

RESERVED: Final = ("mlflow.artifactLocation", "mlflow.trace.spansLocation", "mlflow.trace.archiveLocation")

_PLAIN: Final = frozenset(map(plain, RESERVED))
_IN_SPANS: Final = re.compile(rf"mlflow\.tracetag\.\s*(?:{'|'.join(map(re.escape, sorted(_PLAIN)))})")

SPANS_BYTES: Final = 64 * 2**20
"""Larger than names need: exporters send many spans in one body. MLflow itself reads it whole."""


def check_document(document: Any) -> None:
    """Refuse a document in which one of the reserved keys stands as a key or as a text of its own."""
    for text in texts(document):
        if plain(text) in _PLAIN:
            raise _reserved()


def check_spans(request: AccessRequest, body: bytes | None) -> None:
    """Refuse spans with the attribute ``mlflow.traceTag.<reserved key>``, from which MLflow makes a tag.

    Looks for the bytes: OTLP's protobuf keeps a key in one piece. JSON is parsed, for it may hide a key
    behind escapes. Raises :class:`BadRequestError` for a body that cannot be read as MLflow reads it.
    """
    content = spans_in(request, body)
    if only_header(request, b"content-type").partition(b";")[0].strip() == b"application/json":
        text = json.dumps(parse_object(content), ensure_ascii=False)
    else:
        text = content.decode(errors="ignore")
    if _IN_SPANS.search(plain(text)):
        raise _reserved()


def spans_in(request: AccessRequest, body: bytes | None) -> bytes:
    """The export in ``body``, decompressed."""
    if body is None:
        raise BadRequestError(
            f"Spans are refused in bodies of more than {SPANS_BYTES} bytes; send smaller batches."
        )
    return decompressed(body, only_header(request, b"content-encoding").lower())


def only_header(request: AccessRequest, name: bytes) -> bytes:
    values = request.header(name)
    if len(values) > 1:
        raise BadRequestError(f"This request has more than one {name.decode()}.")
    return values[0] if values else b""


def decompressed(body: bytes, encoding: bytes) -> bytes:
    """As ``mlflow.tracing.utils.otlp.decompress_otlp_body`` does, up to the bound."""
    try:
        match encoding:
            case b"":
                content = body
            case b"gzip":
                content = gzip.GzipFile(fileobj=io.BytesIO(body)).read(SPANS_BYTES + 1)
            case b"deflate":
                content = _inflated(body)
            case _:
                raise BadRequestError("Spans may be encoded with gzip or deflate only.")
    except (OSError, EOFError, zlib.error):
        raise BadRequestError("The body of this request cannot be decompressed.") from None
    if len(content) > SPANS_BYTES:
        raise BadRequestError(f"Spans are refused beyond {SPANS_BYTES} bytes; send smaller batches.")
    return content


def _inflated(body: bytes) -> bytes:
    for wbits in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
        stream = zlib.decompressobj(wbits)
        try:
            content = stream.decompress(body, SPANS_BYTES + 1)
        except zlib.error:
            continue
        if stream.eof or len(content) > SPANS_BYTES:
            return content
    raise zlib.error("not deflated")


def _reserved() -> ForbiddenError:
    return ForbiddenError(
        f"Only MLflow itself sets the trace tags {', '.join(RESERVED)}: the server would read from there."
    )
