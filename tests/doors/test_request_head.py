"""What is refused for its request line and header fields alone, and what is not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import uvicorn
from uvicorn.lifespan.on import LifespanOn

from tests.doors.doors import Answer, beyond, call
from tests.harness.fakes import Records
from workspace_authz.aio.asgi import Message, Receive, Scope, Send
from workspace_authz.doors.request_head import MAX_HEAD_BYTES, MAX_HEADER_FIELDS, RequestHeadMiddleware
from workspace_authz.telemetry.metrics import NoMetrics

Field = tuple[bytes, bytes]
PATHS = ["/", "/livez", "/health", "/api/2.0/mlflow/experiments/search"]
UPGRADE = ((b"connection", b"Upgrade, HTTP2-Settings"), (b"upgrade", b"h2c"), (b"http2-settings", b"AAM"))


async def ask(*headers: Field, method: str = "GET", path: str = "/", http: str = "") -> Answer:
    """``http``: the parser of the uvicorn that starts the app; empty where it has not told its lifespan."""
    app = RequestHeadMiddleware(beyond)
    if http:
        lifespan = LifespanOn(uvicorn.Config(beyond, http=http))
        await app({"type": "lifespan"}, cast(Receive, lifespan.receive), ignored)
    return await call(app, method, path, *headers)


async def ignored(message: Message) -> None:
    """What the app says of its start."""


def refused(answer: Answer, *, status: int) -> bool:
    return answer.status == status and answer.document["error_code"] in (
        "BAD_REQUEST",
        "INVALID_PARAMETER_VALUE",
    )


@pytest.mark.parametrize("path", PATHS)
async def test_the_number_of_fields_is_bounded(path: str) -> None:
    assert (await ask(*[(b"x-a", b"a")] * MAX_HEADER_FIELDS, path=path)).status == 299
    answer = await ask(*[(b"x-a", b"a")] * (MAX_HEADER_FIELDS + 1), path=path)
    assert refused(answer, status=431)
    assert answer.headers[b"connection"] == b"close"


class Counted(NoMetrics):
    """Keeps what was counted."""

    def __init__(self) -> None:
        self.codes: list[tuple[str, str]] = []

    def judged(self, outcome: str, *, code: str, seconds: float) -> None:
        self.codes.append((outcome, code))


@dataclass
class Running:
    audit: Records = field(default_factory=Records)
    metrics: Counted = field(default_factory=Counted)


async def test_a_refusal_is_audited_and_counted() -> None:
    running = Running()
    app = RequestHeadMiddleware(beyond, runtime=lambda: running)
    assert (await call(app, "POST", "/x", *[(b"x-a", b"a")] * (MAX_HEADER_FIELDS + 1))).status == 431
    (record,) = running.audit.kept
    assert (record["method"], record["path"], record["status"], record["decision"]) == (
        *("POST", "/x"),
        *(431, "deny"),
    )
    assert "header fields" in record["reason"]
    assert running.metrics.codes == [("deny", "BAD_REQUEST")]
    assert (await call(app, "GET", "/x")).status == 299
    assert len(running.audit.kept) == 1  # the guard writes the record of what goes on


def field_of(size: int) -> Field:
    """A field with this many bytes on the wire, of a request for ``/``."""
    return b"x-a", b"a" * (size - len("/") - len("x-a: \r\n"))


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_their_bytes_are_bounded(method: str) -> None:
    assert (await ask(field_of(MAX_HEAD_BYTES), method=method)).status == 299
    answer = await ask(field_of(MAX_HEAD_BYTES + 1), method=method)
    assert answer.status == 431
    assert (answer.body == b"") is (method == "HEAD")


@pytest.mark.parametrize("path", ["/" + "a" * MAX_HEAD_BYTES, "/?" + "a" * MAX_HEAD_BYTES])
async def test_the_request_line_counts(path: str) -> None:
    assert refused(await ask(path=path), status=431)


@pytest.mark.parametrize("name", [b"origin", b"host"])
async def test_what_is_parsed_as_a_url_is_ascii(name: bytes) -> None:
    marks = "http://a" + "\N{COMBINING ACUTE ACCENT}" * 1000
    assert refused(await ask((name, marks.encode()), method="POST"), status=400)
    assert (await ask((name, b"http://a"), method="POST")).status == 299
    assert (await ask((b"user-agent", marks.encode()), method="POST")).status == 299


@pytest.mark.parametrize("body", [(b"content-length", b"13"), (b"transfer-encoding", b"chunked")])
@pytest.mark.parametrize(("http", "status"), [("h11", 299), ("auto", 400), ("httptools", 400), ("", 400)])
async def test_an_upgrade_never_costs_the_body(body: Field, http: str, status: int) -> None:
    """httptools is installed here, so ``auto`` is httptools."""
    answer = await ask(*UPGRADE, body, method="POST", http=http)
    assert answer.status == status
    if status == 400:
        assert "--http h11" in answer.document["message"]
    assert (await ask(body, method="POST", http=http)).status == 299


@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_an_upgrade_without_a_body_is_ignored(http: str) -> None:
    assert (await ask(*UPGRADE, http=http)).status == 299
    assert (await ask(*UPGRADE, (b"content-length", b"0"), method="POST", http=http)).status == 299


async def test_the_lifespan_reaches_the_app_with_the_servers_own_channel() -> None:
    reached: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(receive)

    lifespan = LifespanOn(uvicorn.Config(app, http="h11"))
    await RequestHeadMiddleware(app)({"type": "lifespan"}, cast(Receive, lifespan.receive), ignored)
    assert reached == [lifespan.receive]


async def served(path: str, *, root: str = "", prefix: str = "", raw: str | None = None) -> tuple[str, bytes]:
    """The path that the app gets, decoded and raw."""
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def nothing() -> Message:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
    scope |= {"root_path": root, "raw_path": (path if raw is None else raw).encode()}
    await RequestHeadMiddleware(app, static_prefix=prefix)(scope, nothing, ignored)
    return seen[0]["path"], seen[0]["raw_path"]


@pytest.mark.parametrize(
    ("path", "root", "prefix", "inside"),
    [
        ("/api/x", "", "", "/api/x"),
        *((path, "", "", "/api/x") for path in ("//api/x", "///api/x", "/" * 60_000 + "api/x")),
        *((path, "", "", "/") for path in ("/", "//", "///")),
        ("//evil.example/x", "", "", "/evil.example/x"),
        ("/mlflow//api/x", "", "/mlflow", "/mlflow/api/x"),
        ("//mlflow///api/x", "", "/mlflow", "/mlflow/api/x"),
        ("/outside//api/x", "/outside", "", "/outside/api/x"),
        ("/outside//mlflow//api/x", "/outside", "/mlflow", "/outside/mlflow/api/x"),
        *((path, "", "", path) for path in ("/api//x", "/mlflow//api/x", "/a/x//y//")),
    ],
)
async def test_the_app_gets_one_slash_where_the_path_begins(
    path: str, root: str, prefix: str, inside: str
) -> None:
    assert await served(path, root=root, prefix=prefix) == (inside, inside.encode())


@pytest.mark.parametrize(
    ("raw", "path", "inside"),
    [
        ("/%2fapi/x", "//api/x", ("//api/x", b"/%2fapi/x")),
        ("//%2fapi/x", "///api/x", ("//api/x", b"/%2fapi/x")),
        ("//api/%2f/x", "//api///x", ("/api///x", b"/api/%2f/x")),
        ("//\\evil.example", "//\\evil.example", ("/\\evil.example", b"/\\evil.example")),
    ],
)
async def test_an_encoded_slash_stays_one(raw: str, path: str, inside: tuple[str, bytes]) -> None:
    assert await served(path, raw=raw) == inside
