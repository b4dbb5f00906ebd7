"""Bodies of other kinds than JSON: compressed ones, forms, OTLP exports and GraphQL documents."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Final

from tests.fuzz.costly.texts import listed, marks

PROTOBUF: Final = "application/x-protobuf"
_ZSTD_BLOCK: Final = 128 * 2**10

Encoded = tuple[str, dict[str, str], bytes]
"""A name, headers and a body."""


@listed
def compressed(size: int) -> Iterator[Encoded]:
    """JSON objects with very many blanks."""
    large = b"{" + b" " * (200 * size) + b"}"
    json_type = {"Content-Type": "application/json"}
    yield "gzip", {**json_type, "Content-Encoding": "gzip"}, gzip.compress(large, mtime=0)
    yield "deflate", {**json_type, "Content-Encoding": "deflate"}, zlib.compress(large)
    yield "zstd", {**json_type, "Content-Encoding": "zstd"}, zstd_blanks(200 * size)
    twice = gzip.compress(gzip.compress(large, mtime=0), mtime=0)
    yield "gzip twice", {**json_type, "Content-Encoding": "gzip, gzip"}, twice


def zstd_blanks(size: int) -> bytes:
    """A frame of blocks that each repeat one blank (RFC 8878, sections 3.1.1.1 and 3.1.1.2)."""
    blocks, last = max(1, size // _ZSTD_BLOCK), 1
    header = b"\x28\xb5\x2f\xfd" + b"\x00\x58"  # no checksum, no size; a window of 2 MiB
    repeated = ((_ZSTD_BLOCK << 3) | (1 << 1)).to_bytes(3, "little") + b" "
    ending = ((_ZSTD_BLOCK << 3) | (1 << 1) | last).to_bytes(3, "little") + b" "
    return header + repeated * (blocks - 1) + ending


@listed
def forms(size: int) -> Iterator[Encoded]:
    """Forms of two kinds with very many parts."""
    urlencoded = "application/x-www-form-urlencoded"
    yield "form", {"Content-Type": urlencoded}, b"a=&" * (size // 3)
    yield "form of one", {"Content-Type": urlencoded}, b"a=" + b"%25" * (size // 3)
    multipart = {"Content-Type": "multipart/form-data; boundary=x"}
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    yield "parts", multipart, part * (size // len(part)) + b"--x--\r\n"
    yield "an open part", multipart, part[:-2] + b"\r\n--" * (size // 4)
    heads = b"--x\r\n" + b"A: b\r\n" * (size // 6)
    yield "heads of a part", multipart, heads
    yield "a long boundary", {"Content-Type": f"multipart/form-data; boundary={'-' * 3000}"}, b"-" * size


def _message(number: int, content: bytes) -> bytes:
    """A field of a message that holds bytes (https://protobuf.dev/programming-guides/encoding/)."""
    length, varint = len(content), bytearray()
    while length >= 0x80:
        varint.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([number << 3 | 2]) + bytes(varint) + bytes([length]) + content


def _span(number: int, more: bytes = b"", trace: int = 0) -> bytes:
    ids = _message(1, trace.to_bytes(15, "big") + b"\x01") + _message(2, number.to_bytes(8, "big"))
    return _message(2, ids + _message(5, b"s") + more)


@listed
def exports(size: int) -> Iterator[Encoded]:
    """OTLP (opentelemetry/proto/trace/v1/trace.proto) in protobuf and JSON, plain and compressed."""
    for name, content in _protobuf(size):
        yield name, {"Content-Type": PROTOBUF}, content
    for name, content in _protobuf(8 * size):
        yield f"{name}, gzip", {"Content-Type": PROTOBUF, "Content-Encoding": "gzip"}, gzip.compress(content)
    span = {"traceId": "00" * 15 + "01", "spanId": "00" * 7 + "01", "name": "s"}
    for name, document in (
        ("JSON of lists", {"resourceSpans": [[]] * (4 * size)}),
        ("JSON of spans", {"resourceSpans": [{"scopeSpans": [{"spans": [span] * (size // 8)}]}]}),
    ):
        content = gzip.compress(json.dumps(document).encode())
        yield name, {"Content-Type": "application/json", "Content-Encoding": "gzip"}, content


def _protobuf(size: int) -> Iterator[tuple[str, bytes]]:
    """Exports of about ``size`` bytes."""

    def in_one_scope(spans: bytes) -> bytes:
        return _message(1, _message(2, spans))

    text = marks(size).encode()
    deep = b""
    for _ in range(90):
        deep = _message(6, _message(1, _message(1, b"k") + _message(2, deep)))  # AnyValue.kvlist_value
    attribute = _message(9, _message(1, b"k") + _message(2, _message(1, b"v")))
    yield "empty messages", b"\x0a\x00" * (size // 2)
    yield "empty scopes", _message(1, b"\x12\x00" * (size // 2))
    yield "empty spans", in_one_scope(b"\x12\x00" * (size // 2))
    yield "spans", in_one_scope(b"".join(_span(index + 1) for index in range(size // 40)))
    yield "traces", in_one_scope(b"".join(_span(1, trace=index + 1) for index in range(size // 40)))
    yield "attributes", in_one_scope(_span(1, attribute * (size // len(attribute))))
    yield (
        "marks as a key",
        in_one_scope(_span(1, _message(9, _message(1, text) + _message(2, _message(1, b"v"))))),
    )
    yield (
        "marks as a value",
        in_one_scope(_span(1, _message(9, _message(1, b"k") + _message(2, _message(1, text))))),
    )
    nested = _message(9, _message(1, b"k") + _message(2, deep))
    yield "deep attributes", in_one_scope(_span(1, nested * (size // len(nested) + 1)))
    yield "events", in_one_scope(_span(1, b"\x5a\x00" * (size // 2)))
    yield "unknown fields", b"\x78\x00" * (size // 2)
    yield "groups", b"\x7b" * size
    yield "no protobuf", text


@listed
def graphql(size: int) -> Iterator[tuple[str, str]]:
    """Documents for MLflow's schema."""
    run = 'mlflowGetRun(input: {runId: "a"}) { run { info { runUuid } } }'
    fragments = "".join(
        f"fragment f{n} on MlflowRunExtension {{ ...f{n + 1} ...f{n + 1} }} " for n in range(40)
    )
    number = size // (len(run) + 8)
    yield "aliases", "{" + " ".join(f"a{n}: {run}" for n in range(number)) + "}"
    yield "one field again", "{" + f"{run} " * number + "}"
    yield (
        "fragments",
        '{ mlflowGetRun(input: {runId: "a"}) { run { ...f0 } } }'
        f" {fragments} fragment f40 on MlflowRunExtension {{ info {{ runUuid }} }}",
    )
    yield "fragments in a circle", "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }"
    yield (
        "many fragments",
        "{ mlflowTest { a } }"
        + "".join(f" fragment f{n} on Query {{ ...f{n + 1} }}" for n in range(size // 36)),
    )
    yield "deep", "{ a" * (size // 4)
    yield "deep and closed", "{ a" * (size // 8) + "}" * (size // 8)
    yield "inline fragments", "{ ... " * (size // 12) + "{ a }" + "}" * (size // 12)
    yield (
        "directives",
        '{ mlflowTest(inputString: "a") ' + "@skip(if: false) " * (size // 17) + "{ output } }",
    )
    yield "operations", " ".join(f"query q{n} {{ a }}" for n in range(size // 16))
    yield "variables", f"query q({', '.join(f'$v{n}: String' for n in range(size // 16))}) {{ a }}"
    yield "a list", "{ mlflowSearchRuns(input: {experimentIds: [" + '"1",' * (size // 4) + "]}) { a } }"
    yield "a deep list", f"{{ mlflowSearchRuns(input: {{experimentIds: {'[' * size}}}) }}"
    yield "unknown fields", "{" + " ".join(f"a{n}" for n in range(size // 6)) + "}"
    yield "a long text", '{ mlflowTest(inputString: "' + "a" * size + '") { output } }'
    yield "escapes", '{ mlflowTest(inputString: "' + r"\u0301\u0323" * (size // 12) + '") { output } }'
    yield "a number", f"{{ a(b: {'9' * size}) }}"
    yield "comments", "#\n" * (size // 2)
    yield "a block", '{ a(b: """' + "\n " * (size // 2) + '""") }'
    yield (
        "introspection",
        "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }",
    )
