"""How large an OTLP export may be. Each bound stands before the code that would pay for what exceeds it.

MLflow has no bounds here (``mlflow.server.otel_api``, 3.17.2): 29 KB that decompress to 15 million empty
messages stood its event loop still for 16 s. Bytes within texts cost little, so :data:`SPANS_BYTES` is wide:
spans hold prompts, answers and images. Messages, spans and attributes cost CPU and memory each.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Mapping
from functools import cache
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from workspace_authz.errors import BadRequestError, MlflowRefusedError
from workspace_authz.mlflow_adapter.reading.request import SPANS_BYTES

FREE_BYTES: Final = 2**20
"""Up to here an export may be compressed to any degree."""
MAX_RATIO: Final = 200
"""Decompressed bytes for each byte on the wire, beyond :data:`FREE_BYTES`. Spans shrink to a 5th or 50th;
deflate ends at 1032."""
MAX_SPANS: Final = 10_000
"""OpenTelemetry's collector sends 8192 in one batch (``send_batch_size``), an SDK 512."""
MAX_MESSAGES: Final = 250_000
"""Protobuf messages of any kind: a span is one, an attribute is two."""
MAX_FIELDS: Final = 4 * MAX_MESSAGES
"""Fields of all of them."""
MAX_JSON_MESSAGES: Final = 100_000
"""Objects and lists of a JSON export, which costs more CPU to read: protobuf's JSON parser is Python."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_STRINGS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""JSON's texts. Possessive, and the closing quote may be missing: so the time is linear in any input."""


def decompressed(body: bytes, encoding: bytes) -> bytes:
    """As ``mlflow.tracing.utils.otlp.decompress_otlp_body`` does, up to the bounds of this module.

    No more than the bound is ever decompressed. Raises :class:`BadRequestError`.
    """
    limit = min(SPANS_BYTES, max(FREE_BYTES, MAX_RATIO * len(body))) if encoding else SPANS_BYTES
    try:
        match encoding:
            case b"":
                content = body
            case b"gzip":
                content = gzip.GzipFile(fileobj=io.BytesIO(body)).read(limit + 1)
            case b"deflate":
                content = _inflated(body, limit)
            case _:
                raise refused(f"Unsupported Content-Encoding: {encoding.decode('latin-1')}")
    except (OSError, EOFError, zlib.error):
        raise refused(f"Failed to decompress {encoding.decode('latin-1')} payload") from None
    if len(content) > SPANS_BYTES:
        raise BadRequestError(f"Spans are refused beyond {SPANS_BYTES} bytes; send smaller batches.")
    if len(content) > limit:
        raise BadRequestError(
            f"Spans are refused when {FREE_BYTES} bytes and more are compressed by more than {MAX_RATIO}:1."
        )
    return content


def check_protobuf(content: bytes) -> None:
    """Count the messages and fields of a protobuf export, before it is parsed.

    Nothing is counted where the bytes cannot hold too many: each takes two at least. Raises
    :class:`BadRequestError` for too many. Bytes that are no export are left to the parser.
    """
    if len(content) <= 2 * MAX_MESSAGES:
        return
    fields = messages = 0
    pending: list[tuple[Descriptor, int, int]] = [(ExportTraceServiceRequest.DESCRIPTOR, 0, len(content))]
    while pending:
        kind, position, end = pending.pop()
        children = _children(kind)
        while position < end:
            tag = content[position]
            position += 1
            if tag >= 0x80:
                tag, position = _varint(content, position - 1, end=end)
            start, position = _skipped(content, position, end=end, wire_type=tag & 7)
            fields += 1
            child = children.get(tag >> 3) if tag & 7 == _BYTES else None
            if child is not None:
                messages += 1
                if start < position:
                    pending.append((child, start, position))
            if messages > MAX_MESSAGES or fields > MAX_FIELDS:
                raise too_many()


def check_json(content: bytes) -> None:
    """Count what a JSON export holds, before it is parsed. Raises :class:`BadRequestError` for too much."""
    if len(content) <= 2 * MAX_JSON_MESSAGES:
        return
    structure = _STRINGS.sub(b"", content)
    messages = structure.count(b"{") + structure.count(b"[")
    if messages > MAX_JSON_MESSAGES or structure.count(b",") > 4 * MAX_JSON_MESSAGES:
        raise too_many()


def refused(detail: str) -> MlflowRefusedError:
    """What MLflow answers to an export that it cannot read: FastAPI's shape (``otel_api``, 3.17.2)."""
    return MlflowRefusedError(detail, document={"detail": detail})


def too_many() -> BadRequestError:
    """The refusal of an export with too many parts."""
    return BadRequestError(
        f"Spans are refused beyond {MAX_SPANS} spans, {MAX_MESSAGES} messages in protobuf or "
        f"{MAX_JSON_MESSAGES} objects in JSON in one request; send smaller batches."
    )


@cache
def _children(kind: Descriptor) -> Mapping[int, Descriptor]:
    """The fields of a message that hold messages."""
    return {
        number: field.message_type
        for number, field in kind.fields_by_number.items()
        if field.type == FieldDescriptor.TYPE_MESSAGE
    }


def _varint(content: bytes, position: int, *, end: int) -> tuple[int, int]:
    """A number and the position behind it. What is cut off ends at ``end``."""
    if position < end and content[position] < 0x80:
        return content[position], position + 1
    value = shift = 0
    while position < end and shift < 70:
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    return 0, end


def _skipped(content: bytes, position: int, *, end: int, wire_type: int) -> tuple[int, int]:
    """Where the value of a field begins and ends (https://protobuf.dev/programming-guides/encoding/)."""
    if wire_type == _BYTES:
        length, start = _varint(content, position, end=end)
        return start, min(start + length, end)
    if wire_type == _VARINT:
        return position, _varint(content, position, end=end)[1]
    if wire_type == _FIXED64:
        return position, min(position + 8, end)
    if wire_type == _FIXED32:
        return position, min(position + 4, end)
    # The beginning or the end of a group, in which each field is counted as one of the message around it.
    return position, position


def _inflated(body: bytes, limit: int) -> bytes:
    for wbits in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
        stream = zlib.decompressobj(wbits)
        try:
            content = stream.decompress(body, limit + 1)
        except zlib.error:
            continue
        if stream.eof or len(content) > limit:
            return content
    raise zlib.error("not deflated")
