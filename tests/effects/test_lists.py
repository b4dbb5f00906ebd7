"""Answers with less in them: full pages, no totals, and nothing that could not be understood."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workspace_authz.aio.asgi import Message, Receive, Scope, Send
from workspace_authz.doors.asgi import answers
from workspace_authz.doors.asgi.answers import filtered_answer
from workspace_authz.effects.ciphers import AesCipher
from workspace_authz.effects.lists import (
    SCANNED_AT_ONCE,
    SCANNED_PAGES,
    AnswerFilter,
    Pages,
    UnreadableAnswerError,
)
from workspace_authz.effects.page_tokens import Position, position_of

CIPHER, BOUND = AesCipher(None), b"bound"
JSON = (b"content-type", b"application/json")


@dataclass
class Mlflow:
    """Answers as it is told, or with pages of ``items`` as MLflow does: its token is an offset."""

    items: Iterable[Any] = ()
    answer: bytes | None = None
    status: int = 200
    headers: Iterable[tuple[bytes, bytes]] = (JSON, (b"etag", b"7"), (b"x-kept", b"yes"))
    default: int = 3
    asked: list[Mapping[str, list[str]]] = field(default_factory=list)
    seen: list[Scope] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append(scope)
        content = (await receive())["body"]
        query = parse_qs(scope["query_string"].decode())
        if scope["method"] == "POST" and content:
            query = {name: [str(value)] for name, value in json.loads(content).items()}
        self.asked.append(query)
        body = self.answer if self.answer is not None else self._page(query)
        await send({"type": "http.response.start", "status": self.status, "headers": list(self.headers)})
        await send({"type": "http.response.body", "body": body[:5], "more_body": True})
        await send({"type": "http.response.body", "body": body[5:]})

    def _page(self, query: Mapping[str, list[str]]) -> bytes:
        start = int(query.get("page_token", ["0"])[0])
        size = int(query.get("max_results", [str(self.default)])[0])
        everything = list(self.items)
        page = everything[start : start + size]
        following = {"next_page_token": str(start + size)} if start + size < len(everything) else {}
        return json.dumps({**({"items": page} if page else {}), **following}).encode()


@dataclass
class Got:
    messages: list[Message] = field(default_factory=list)

    async def send(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.messages[1:])

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask(mlflow: Mlflow, rule: AnswerFilter, *, method: str = "GET", body: bytes = b"") -> Got:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    got = Got()
    headers = [(b"accept-encoding", b"gzip"), (b"host", b"x"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": method, "query_string": b"", "headers": headers}
    await (await filtered_answer(mlflow, scope, receive, keep=rule)).send(got.send)
    return got


def item(name: str) -> dict[str, str]:
    return {"name": name}


def whole(*allowed: str) -> AnswerFilter:
    return AnswerFilter("items", ("name",), frozenset(allowed))


def paged(allowed: Collection[str], start: Position | None = None, **fields: Any) -> AnswerFilter:
    pages = Pages(fields=fields, start=start or Position(), cipher=CIPHER, bound_to=BOUND)
    return AnswerFilter("items", ("name",), frozenset(allowed), pages)


async def test_a_list_without_pages_keeps_what_may_be_seen() -> None:
    mlflow = Mlflow(answer=json.dumps({"items": [item("a"), item("b"), item("c")]}).encode())
    got = await ask(mlflow, whole("a", "c"))
    assert got.json == {"items": [item("a"), item("c")]}
    assert got.headers[b"content-length"] == str(len(got.body)).encode()
    assert got.headers[b"x-kept"] == b"yes"
    assert b"etag" not in got.headers
    assert all(name != b"accept-encoding" for name, _ in mlflow.seen[0]["headers"])


async def test_counts_and_whatever_else_there_is_are_left_out() -> None:
    answer = {
        "object": "list",
        "items": [item("a"), item("b")],
        "total": 2,
        "first": "b",
        "next_page_token": "5",
    }
    got = await ask(Mlflow(answer=json.dumps(answer).encode()), whole("a"))
    assert got.json == {"object": "list", "items": [item("a")]}


async def test_the_body_of_a_request_reaches_mlflow() -> None:
    mlflow = Mlflow(answer=b"{}")
    await ask(mlflow, whole("a"), method="POST", body=b'{"statuses": "any"}')
    assert mlflow.asked == [{"statuses": ["any"]}]


async def test_an_empty_list_may_be_missing() -> None:
    assert (await ask(Mlflow(answer=b"{}"), whole("a"))).json == {"items": []}


@pytest.mark.parametrize(
    ("value", "kept"), [("7", 1), (7, 1), (8, 0), (None, 0), (True, 0), ("", 0), ([], 0)]
)
async def test_an_identity_may_lie_deeper_and_may_be_a_number(value: object, kept: int) -> None:
    rule = AnswerFilter("jobs", ("params", "experiment_id"), frozenset({"7"}))
    answer = {
        "jobs": [{"params": {"experiment_id": value}}, {"params": {}}, {"params": "7"}, {"params": None}]
    }
    assert len((await ask(Mlflow(answer=json.dumps(answer).encode()), rule)).json["jobs"]) == kept


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b'"text"',
        b"nonsense",
        b'{"items": {}}',
        b'{"items": ["secret"]}',
        b'{"items": [{"title": "secret"}]}',
        b'{"items": [null]}',
        b'{"items": ' + b"[" * 100_000,
    ],
    ids=lambda answer: answer[:30].decode(),
)
async def test_what_cannot_be_understood_is_withheld(answer: bytes) -> None:
    for rule in (whole("a"), paged(["a"])):
        with pytest.raises(UnreadableAnswerError):
            await ask(Mlflow(answer=answer), rule)


@pytest.mark.parametrize("status", [200, 404, 500])
async def test_an_answer_that_is_too_large_is_withheld(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "LARGEST_ANSWER", 8)
    with pytest.raises(UnreadableAnswerError):
        await ask(Mlflow(answer=b'{"items": []}', status=status), whole("a"))


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (204, [JSON]),
        (302, [JSON]),
        (206, [JSON]),
        (200, []),
        (200, [(b"content-type", b"text/html")]),
        (200, [JSON, (b"content-encoding", b"gzip")]),
    ],
)
async def test_another_kind_of_answer_is_withheld(status: int, headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(UnreadableAnswerError):
        await ask(Mlflow(answer=b'{"items": []}', status=status, headers=headers), whole("a"))


@pytest.mark.parametrize("rule", [whole("a"), paged(["a"])], ids=["whole", "paged"])
async def test_an_error_of_mlflows_is_passed_on(rule: AnswerFilter) -> None:
    got = await ask(Mlflow(answer=b'{"error_code": "INVALID_PARAMETER_VALUE"}', status=400), rule)
    assert (got.status, got.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


# Pages.

NUMBERED = [item(f"n{number}") for number in range(300)]
SEVEN = [f"n{number}" for number in (0, 41, 99, 100, 101, 250, 299)]


async def walk(
    mlflow: Mlflow, allowed: Collection[str], *, method: str = "GET", **fields: Any
) -> list[list[str]]:
    """The names on each page, to the end."""
    pages: list[list[str]] = []
    start: Position | None = Position()
    while start is not None:
        document = (await ask(mlflow, paged(allowed, start, **fields), method=method)).json
        pages.append([found["name"] for found in document["items"]])
        token = document.get("next_page_token")
        start = position_of({"page_token": token}, CIPHER, bound_to=BOUND) if token else None
        assert len(pages) < 200
    return pages


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 8])
async def test_pages_are_full_and_complete(size: int, method: str) -> None:
    pages = await walk(Mlflow(NUMBERED), SEVEN, method=method, max_results=size)
    assert [name for page in pages for name in page] == SEVEN
    assert all(len(page) == size for page in pages[:-1])


async def test_the_size_may_be_mlflows_choice() -> None:
    assert await walk(Mlflow(NUMBERED, default=100), SEVEN) == [SEVEN]
    assert await walk(Mlflow(NUMBERED[:60], default=30), [f"n{number}" for number in range(40)]) == [
        [f"n{number}" for number in range(30)],
        [f"n{number}" for number in range(30, 40)],
    ]


async def test_fields_are_kept_and_pages_are_large() -> None:
    mlflow = Mlflow(NUMBERED)
    await walk(mlflow, SEVEN, max_results=2, filter="x", order_by=["a", "b"])
    assert all(asked["filter"] == ["x"] and asked["order_by"] == ["a", "b"] for asked in mlflow.asked)
    assert {asked["max_results"][0] for asked in mlflow.asked} == {str(SCANNED_AT_ONCE)}


@pytest.mark.parametrize("size", [0, -1, "x", "0"])
async def test_a_size_that_mlflow_refuses_is_left_to_it(size: object) -> None:
    mlflow = Mlflow(answer=b"{}", status=400)
    assert (await ask(mlflow, paged(SEVEN, max_results=size))).status == 400
    assert mlflow.asked[0]["max_results"] == [str(size)]


async def test_who_may_see_nothing_gets_no_token() -> None:
    mlflow = Mlflow(NUMBERED, default=10)
    assert (await ask(mlflow, paged([]))).json == {"items": []}
    assert len(mlflow.asked) == 1


async def test_one_request_looks_through_a_bounded_number_of_pages() -> None:
    mlflow = Mlflow([item(f"n{number}") for number in range(100)], default=2)
    document = (await ask(mlflow, paged(["n0", "n98"]))).json
    assert len(mlflow.asked) == SCANNED_PAGES
    assert document["items"] == [item("n0")]
    assert await walk(mlflow, ["n0", "n98"]) == [["n0"], [], ["n98"]]


@settings(max_examples=60)
@given(
    there=st.integers(0, 40),
    allowed=st.sets(st.integers(0, 45)),
    size=st.integers(1, 12) | st.none(),
    default=st.integers(1, 12),
)
async def test_nothing_is_lost_or_doubled(
    there: int, allowed: set[int], size: int | None, default: int
) -> None:
    mlflow = Mlflow([item(f"n{number}") for number in range(there)], default=default)
    fields: dict[str, Any] = {} if size is None else {"max_results": size}
    pages = await walk(mlflow, {f"n{number}" for number in allowed}, **fields)
    assert [name for page in pages for name in page] == [f"n{n}" for n in range(there) if n in allowed]
