"""A request as it goes over the wire, and ways to spell it otherwise."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final
from urllib.parse import quote, unquote_plus

from tests.fuzz.words import CLAIMS, FOREIGN, HEADERS, WORKSPACES, Words
from tests.scenarios.campaign import request_of
from tests.scenarios.recipes.model import Call

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "get", "PROPFIND")
_TYPES: Final = (
    None,
    "text/plain",
    "application/json; charset=utf-16",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/x-protobuf",
    "APPLICATION/JSON",
)


@dataclass(slots=True)
class Wire:
    """A request that can still be changed."""

    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    content: bytes | None
    spelt: str
    """What it said before it was spelt otherwise."""
    notes: list[str] = field(default_factory=list)
    """What was done to it."""

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def mentions(self) -> str:
        """All that the sender has said, in every reading."""
        once = unquote_plus(self.target)
        twice = unquote_plus(unquote_plus(once))
        return "\n".join((self.spelt, self.target, once, twice, repr(self.headers), repr(self.content)))

    def __str__(self) -> str:
        """Without the token, which is added when it is sent."""
        lines = [f"{self.method} {self.target}", *(f"{name}: {value}" for name, value in self.headers)]
        return "\n".join([*lines, "", repr(self.content), f"({', '.join(self.notes) or 'as it is'})"])


def wired(method: str, template: str, call: Call, *, workspace: str) -> Wire:
    """The call for a route, in a workspace."""
    target, headers, content = request_of(method, template, call)
    path, _, query = target.partition("?")
    named = [("X-MLFLOW-WORKSPACE", workspace), *headers.items()]
    return Wire(method, path, query, named, content, spelt=repr(call))


def _workspace(rng: Random, wire: Wire, words: Words) -> None:
    others = [item for item in wire.headers if item[0] != "X-MLFLOW-WORKSPACE"]
    own = [item for item in wire.headers if item[0] == "X-MLFLOW-WORKSPACE"]
    more = [(rng.choice(HEADERS).strip(), rng.choice(WORKSPACES)) for _ in range(rng.randint(0, 2))]
    both = [*own * rng.randint(0, 1), *more]
    rng.shuffle(both)
    wire.headers = [*both, *others]


def _path(rng: Random, wire: Wire, words: Words) -> None:
    path, workspace = wire.path, rng.choice(FOREIGN)
    cut = rng.choice([place for place, letter in enumerate(path) if letter == "/"] or [0])
    before, after = path[:cut], path[cut + 1 :]
    wire.path = rng.choice(
        (
            f"{before}//{after}",
            f"{before}/./{after}",
            f"{before}/x/../{after}",
            f"{before}/%2e%2e/{after}",
            f"{before}/{workspace}/..%2f{after}",
            f"{before}%2F{after}",
            f"{before}%252F{after}",
            f"{before}/{after}/",
            f"{before}/{after};x=y",
            f"{before}\\{after}",
            f"{before}/{after}%00",
            f"/workspaces/{workspace}{path}",
            f"http://{workspace}{path}",
            path.replace("/api/", "/ajax-api/"),
            path.replace("/ajax-api/", "/api/"),
            path.replace("2.0", "3.0"),
            path.upper(),
            f"{before}/%{ord(after[:1] or 'x'):02x}{after[1:]}",
        )
    )


def _method(rng: Random, wire: Wire, words: Words) -> None:
    wire.method = rng.choice(_METHODS)


def _claims(rng: Random, wire: Wire, words: Words) -> None:
    wire.headers += rng.sample(CLAIMS, rng.randint(1, 3))


def _type(rng: Random, wire: Wire, words: Words) -> None:
    kind = rng.choice(_TYPES)
    wire.headers = [item for item in wire.headers if item[0].lower() != "content-type"]
    if kind is not None:
        wire.headers.append(("Content-Type", kind))
    if kind is not None and "utf-16" in kind and wire.content is not None:
        wire.content = wire.content.decode("utf-8", "replace").encode("utf-16")


def _encoding(rng: Random, wire: Wire, words: Words) -> None:
    content = wire.content or b"{}"
    name = rng.choice(("Content-Encoding", "Content_Encoding", "Transfer-Encoding"))
    if name == "Transfer-Encoding":
        wire.headers.append((name, "chunked"))
        wire.content = b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)
        return
    kind, packed = rng.choice(
        (
            ("gzip", gzip.compress(content, mtime=0)),
            ("deflate", zlib.compress(content)),
            ("zstd", _zstd(content)),
            ("identity", content),
        )
    )
    wire.headers.append((name, kind))
    wire.content = packed


def _zstd(content: bytes) -> bytes:
    """A frame that holds the content as it is, in one raw block (RFC 8878)."""
    size = len(content)
    header = b"\x28\xb5\x2f\xfd\xa0" + size.to_bytes(4, "little")
    return header + ((size << 3) | 1).to_bytes(3, "little") + content


def _double_keys(rng: Random, wire: Wire, words: Words) -> None:
    try:
        document = json.loads(wire.content or b"")
    except ValueError:
        return
    if not isinstance(document, dict) or not document:
        return
    key = rng.choice(sorted(document))
    other = json.dumps({key: rng.choice(words.values)})[1:-1]
    own = json.dumps(document)[1:-1]
    wire.content = f"{{{other}, {own}}}".encode() if rng.randint(0, 1) else f"{{{own}, {other}}}".encode()


def _double_query(rng: Random, wire: Wire, words: Words) -> None:
    parts = wire.query.split("&") if wire.query else ["experiment_id=1", "run_id=x", "workspace=team-a"]
    key = rng.choice(parts).partition("=")[0]
    value = quote(rng.choice(rng.choice((words.values, words.places))), safe="")
    parts.insert(rng.randint(0, len(parts)), f"{key}={value}")
    wire.query = "&".join(parts)


def _body_elsewhere(rng: Random, wire: Wire, words: Words) -> None:
    """What the query said in a body, or the other way round."""
    if wire.content is None:
        pairs = (part.partition("=") for part in wire.query.split("&"))
        wire.content = json.dumps({key: unquote_plus(value) for key, _, value in pairs}).encode()
        wire.headers.append(("Content-Type", "application/json"))
        return
    try:
        document = json.loads(wire.content)
    except ValueError:
        return
    if isinstance(document, dict):
        added = "&".join(f"{key}={quote(str(value), safe='')}" for key, value in document.items())
        wire.query = f"{wire.query}&{added}" if wire.query else added


def _double_json(rng: Random, wire: Wire, words: Words) -> None:
    if wire.content is not None:
        text = wire.content.decode("utf-8", "replace")
        wire.content = rng.choice((json.dumps(text), f"[{text}]", f"\ufeff{text}", f" {text}\n")).encode()


SPELLINGS: Final[Mapping[str, Callable[[Random, Wire, Words], None]]] = {
    "workspace header": _workspace,
    "path": _path,
    "method": _method,
    "claims": _claims,
    "content type": _type,
    "encoding": _encoding,
    "double keys": _double_keys,
    "double query": _double_query,
    "body elsewhere": _body_elsewhere,
    "double JSON": _double_json,
}
"""Each changes how a request is spelt."""
