"""A body is read only as far as needed and reaches MLflow byte for byte, message for message."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from workspace_authz.aio.asgi import Message
from workspace_authz.doors.asgi.body import Disconnection, GivenMessages, ReplayedBody
from workspace_authz.errors import SlowClientError
from workspace_authz.mlflow_adapter.reading.request import AccessRequest, GivenBody, UnhurriedBody


class Client:
    """Sends messages one after the other, and says when too many were asked for."""

    def __init__(self, *messages: Message) -> None:
        self.waiting = list(messages)

    async def __call__(self) -> Message:
        return self.waiting.pop(0)


def chunks(*parts: bytes) -> list[Message]:
    last = len(parts) - 1
    return [
        {"type": "http.request", "body": part, "more_body": number < last}
        for number, part in enumerate(parts)
    ]


GONE: Message = {"type": "http.disconnect"}


async def received(body: ReplayedBody, count: int) -> list[Message]:
    return [await body() for _ in range(count)]


@pytest.mark.parametrize("parts", [[b""], [b"abc"], [b"a", b"", b"bc"], [b"\x00\xff", b"\xfe"]])
async def test_a_body_that_was_read_arrives_as_it_came(parts: Sequence[bytes]) -> None:
    sent = chunks(*parts)
    client = Client(*sent, GONE)
    body = ReplayedBody(client, limit=100)
    assert await body.read() == b"".join(parts)
    assert await body.read() == b"".join(parts)  # as often as it is needed
    assert await received(body, len(parts)) == sent
    assert await body() == GONE  # afterwards the client speaks again


async def test_a_body_that_nobody_needs_is_not_touched() -> None:
    client = Client(*chunks(b"a", b"b"))
    body = ReplayedBody(client, limit=100)
    assert len(client.waiting) == 2
    assert await body() == {"type": "http.request", "body": b"a", "more_body": True}
    assert len(client.waiting) == 1


async def test_a_body_beyond_the_limit_is_not_read_on_and_streams_through() -> None:
    sent = chunks(*[b"x" * 10] * 5)
    client = Client(*sent)
    body = ReplayedBody(client, limit=15)
    assert await body.read() is None
    assert len(client.waiting) == 3  # two messages were enough to know
    assert await body.read() is None
    assert await received(body, 5) == sent


async def test_a_body_as_large_as_the_limit_is_read() -> None:
    assert await ReplayedBody(Client(*chunks(b"x" * 15)), limit=15).read() == b"x" * 15


async def test_a_client_that_goes_away_is_no_body_and_mlflow_hears_of_it() -> None:
    sent = [*chunks(b"a", b"b")[:1], GONE]
    body = ReplayedBody(Client(*sent), limit=100)
    for _ in range(2):
        assert await body.read() is None
    assert await received(body, 2) == sent


async def test_messages_without_the_optional_keys() -> None:
    body = ReplayedBody(Client({"type": "http.request"}), limit=100)
    assert await body.read() == b""


async def test_a_dry_run_has_no_body() -> None:
    assert await AccessRequest("GET", "/").body.read() == b""
    assert await GivenBody(b"x" * 100).read(10) == b"x" * 100  # whoever made it had a bound


async def test_the_bound_may_be_replaced_and_nothing_is_read_twice() -> None:
    sent = chunks(*[b"x" * 10] * 3)
    body = ReplayedBody(Client(*sent), limit=15)
    assert await body.read() is None
    assert await body.read(30) == b"x" * 30
    assert await received(body, 3) == sent


async def test_a_body_in_place_of_another_comes_first_and_then_the_client() -> None:
    given = GivenMessages(b"ours", then=Client(GONE))
    assert await given() == {"type": "http.request", "body": b"ours", "more_body": False}
    assert await given() == GONE


async def test_of_a_body_that_mlflow_must_not_get_only_the_end_is_told() -> None:
    assert await Disconnection(Client(*chunks(b"a", b"b"), GONE))() == GONE


def test_every_value_of_a_header() -> None:
    request = AccessRequest("GET", "/", headers=[(b"a", b"1"), (b"b", b"2"), (b"a", b"3")])
    assert request.header(b"a") == [b"1", b"3"]
    assert request.header(b"c") == []


def test_a_request_shows_neither_headers_nor_query_nor_body() -> None:
    request = AccessRequest("GET", "/p", headers=[(b"authorization", b"secret")], query=b"token=secret")
    assert "secret" not in repr(request)


class Silent:
    """Sends a part and then nothing."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = list(parts)

    async def __call__(self) -> Message:
        if self.parts:
            return {"type": "http.request", "body": self.parts.pop(0), "more_body": True}
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_client_that_falls_silent_is_told_so() -> None:
    with pytest.raises(SlowClientError) as refused:
        await ReplayedBody(Silent(b"a", b"b"), limit=100, stall_seconds=0.01).read()
    assert refused.value.status == 408
    assert ("connection", "close") in refused.value.headers


async def test_the_deadline_of_others_stands_still_while_a_body_comes() -> None:
    class Slow:
        @property
        def limit(self) -> int:
            return 1000

        async def read(self, at_most: int | None = None) -> bytes | None:
            await asyncio.sleep(0.1)
            return b"late"

    async def late_and_then_nothing(deadline: asyncio.Timeout) -> None:
        async with deadline:
            assert await UnhurriedBody(Slow(), deadline).read() == b"late"
            await asyncio.Event().wait()

    deadline = asyncio.timeout(0.05)
    with pytest.raises(TimeoutError):
        await late_and_then_nothing(deadline)
