"""Callers' connections: one question at a time on each, and what was not asked for is nobody's answer."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
import uvloop

from tests.harness.fakes import run_pending
from tests.kubernetes.informer_server import until
from tests.kubernetes.listener import Listener
from workspace_authz.devplane.pki import Pki, create_pki
from workspace_authz.kubernetes import connection as connection_module
from workspace_authz.kubernetes.configuration import ApiConfiguration
from workspace_authz.kubernetes.connection import Connection, caller_connection
from workspace_authz.kubernetes.http import HttpAnswer
from workspace_authz.kubernetes.own_credential import FileCredential

PATH = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


def answer(body: bytes, *headers: bytes, status: bytes = b"201 Created") -> bytes:
    head = b"".join(header + b"\r\n" for header in headers)
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), head, body)


@dataclass
class Far:
    """The other end of every connection: answers each question with the next bytes of a script."""

    script: Iterator[bytes] = field(default_factory=lambda: iter(()))
    questions: list[tuple[int, bytes]] = field(default_factory=list)
    """The number of the connection, and the whole request."""
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    url: str = ""
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(self.writers)
        self.writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                self.questions.append((number, head + await reader.readexactly(length)))
                self.asked.set()
                writer.write(next(self.script, b""))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    @property
    def used(self) -> list[int]:
        """The connection of each question."""
        return [number for number, _ in self.questions]


@pytest.fixture
async def far() -> AsyncIterator[Far]:
    far = Far()
    server = await asyncio.start_server(far.serve, "127.0.0.1", 0)
    far.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield far
    server.close()
    for writer in far.writers:
        writer.close()
    await run_pending()


@asynccontextmanager
async def connection_to(
    url: str, *, authority: Path | None = None, server_name: str | None = None
) -> AsyncIterator[Connection]:
    configuration = ApiConfiguration(
        host=url,
        ca_file=str(authority) if authority else None,
        server_name=server_name,
        credential=FileCredential("the-servers-own"),
    )
    connection = caller_connection(configuration)
    yield connection
    await connection.close()


async def ask(connection: Connection, token: str = "alice-token", *, timeout: float = 60.0) -> HttpAnswer:
    return await connection.post(PATH, {"kind": "SelfSubjectReview"}, token=token, timeout=timeout)


async def test_a_question_is_sent_whole(far: Far) -> None:
    far.script = iter([answer(b"{}")])
    async with connection_to(far.url + "/k8s/clusters/c-1/") as connection:
        await ask(connection)
    ((_, request),) = far.questions
    head, _, body = request.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    assert first == f"POST /k8s/clusters/c-1{PATH} HTTP/1.1"
    headers = dict(line.split(": ", 1) for line in rest)
    assert headers.pop("User-Agent").startswith("workspace-authz/")
    expected = {
        "Host": far.url.removeprefix("http://"),
        "Content-Type": "application/json",
        "Authorization": "Bearer alice-token",
        "Content-Length": str(len(body)),
    }
    assert {name: headers.get(name) for name in expected} == expected
    assert json.loads(body) == {"kind": "SelfSubjectReview"}


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX-Remote-User: root", "a\x00", "ä"])
async def test_what_is_no_token_is_not_sent(far: Far, token: str) -> None:
    async with connection_to(far.url) as connection:
        with pytest.raises(ValueError, match="caller's token"):
            await ask(connection, token)
    assert far.writers == []


async def test_an_answer_is_read_whole(far: Far) -> None:
    far.script = iter([answer(b"no", b"DATE: today", b"retry-after: 3", status=b"429 Slow Down")])
    async with connection_to(far.url) as connection:
        assert await ask(connection) == HttpAnswer(status=429, date="today", retry_after="3", body=b"no")


async def test_questions_one_after_another_take_one_connection(far: Far) -> None:
    far.script = iter([answer(b"%d" % number) for number in range(20)])
    async with connection_to(far.url) as connection:
        assert [(await ask(connection)).body for _ in range(20)] == [b"%d" % number for number in range(20)]
    assert set(far.used) == {0}


async def test_questions_at_once_take_a_connection_each_and_keep_them(far: Far) -> None:
    far.script = iter([answer(b"{}")] * 20)
    async with connection_to(far.url) as connection:
        for _ in range(4):
            await asyncio.gather(*(ask(connection) for _ in range(5)))
    assert len(far.writers) == 5


async def test_an_answer_may_come_in_pieces_and_in_chunks(far: Far) -> None:
    whole = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    far.script = iter([b"", whole])
    async with connection_to(far.url) as connection:
        asking = asyncio.create_task(ask(connection))
        await far.asked.wait()
        for number in range(len(whole)):
            far.writers[0].write(whole[number : number + 1])
            await asyncio.sleep(0)
        assert (await asking).body == b"abcde"
        assert (await ask(connection)).body == b"abcde"
    assert far.used == [0, 0]


@pytest.mark.parametrize(
    "odd",
    [
        answer(b"first", b"Connection: close"),
        answer(b"first") + answer(b"second"),
    ],
)
async def test_after_an_odd_answer_the_connection_is_not_used_again(far: Far, odd: bytes) -> None:
    far.script = iter([odd, answer(b"right")])
    async with connection_to(far.url) as connection:
        assert (await ask(connection)).body == b"first"
        assert (await ask(connection, "bob-token")).body == b"right"
    assert far.used == [0, 1]


@pytest.mark.parametrize("rest", [b"HTTP/1.1 2", b"rubbish"])
async def test_half_of_another_answer_is_nobodys(far: Far, rest: bytes) -> None:
    """One question fails, which is asked again; none gets what is not its own."""
    far.script = iter([answer(b"first") + rest, answer(b"right"), answer(b"right")])
    async with connection_to(far.url) as connection:
        with suppress(aiohttp.ClientError):
            assert (await ask(connection)).body == b"first"
        with suppress(aiohttp.ClientError):
            assert (await ask(connection, "bob-token")).body == b"right"
        assert (await ask(connection, "bob-token")).body == b"right"


@pytest.mark.parametrize(
    "odd",
    [
        b"rubbish\r\n\r\n",
        b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nabcde",
    ],
)
async def test_what_is_no_answer_fails_and_ends_the_connection(far: Far, odd: bytes) -> None:
    far.script = iter([odd, answer(b"right")])
    async with connection_to(far.url) as connection:
        with pytest.raises(aiohttp.ClientError):
            await ask(connection)
        assert (await ask(connection)).body == b"right"
    assert far.used == [0, 1]


async def test_a_connection_that_was_upgraded_is_not_used_again(far: Far) -> None:
    odd = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
    far.script = iter([odd, answer(b"right")])
    async with connection_to(far.url) as connection:
        assert (await ask(connection)).status == 101
        assert (await ask(connection)).body == b"right"
    assert far.used == [0, 1]


async def test_what_nobody_asked_for_is_nobodys_answer(far: Far) -> None:
    far.script = iter([answer(b"right"), answer(b"right")])
    async with connection_to(far.url) as connection:
        await ask(connection)
        far.writers[0].write(answer(b"of somebody else"))
        await asyncio.sleep(0.05)
        assert (await ask(connection)).body == b"right"
    assert far.used == [0, 1]


@pytest.mark.parametrize("leave", [lambda task: task.cancel(), lambda _: None], ids=["cancelled", "too late"])
async def test_an_answer_that_nobody_awaits_any_more_goes_to_nobody(
    far: Far, leave: Callable[[asyncio.Task[HttpAnswer]], object]
) -> None:
    far.script = iter([b"", answer(b"right")])
    async with connection_to(far.url) as connection:
        asking = asyncio.create_task(ask(connection, timeout=1.0))
        await far.asked.wait()
        leave(asking)
        with pytest.raises((asyncio.CancelledError, TimeoutError)):
            await asking
        await until(far.writers[0].is_closing)
        assert (await ask(connection, "bob-token")).body == b"right"
    assert far.used == [0, 1]


async def test_a_connection_that_the_api_server_has_closed_is_not_used(far: Far) -> None:
    far.script = iter([answer(b"{}"), answer(b"{}")])
    async with connection_to(far.url) as connection:
        await ask(connection)
        far.writers[0].close()
        await far.writers[0].wait_closed()
        await asyncio.sleep(0.05)
        await ask(connection)
    assert far.used == [0, 1]


async def test_a_connection_that_has_rested_too_long_is_not_used(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert connection_module.KEPT_ALIVE_SECONDS < 90  # of kube-apiserver
    monkeypatch.setattr(connection_module, "KEPT_ALIVE_SECONDS", 0.1)
    far.script = iter([answer(b"{}"), answer(b"{}")])
    async with connection_to(far.url) as connection:
        await ask(connection)
        await asyncio.sleep(0.2)
        await ask(connection)
    assert far.used == [0, 1]


async def test_an_answer_that_ends_early_is_none(far: Far) -> None:
    async with connection_to(far.url) as connection:
        asking = asyncio.create_task(ask(connection))
        await far.asked.wait()
        far.writers[0].write(answer(b"{}")[:-1])
        far.writers[0].close()
        with pytest.raises(aiohttp.ClientError):
            await asking


async def test_over_tls_the_caller_shows_a_token_and_nothing_else(listener: Listener) -> None:
    """No client certificate, no cookie of an earlier answer, not the server's own token, one handshake."""
    async with connection_to(listener.endpoint.url, authority=listener.pki.ca_cert) as connection:
        for token in ("alice-token", "bob-token"):
            assert (await ask(connection, token)).status == 200
    assert listener.certificates == [None, None]
    assert [sent["authorization"] for sent in listener.headers] == ["Bearer alice-token", "Bearer bob-token"]
    assert [sent.get("cookie") for sent in listener.headers] == [None, None]
    assert len(set(listener.connections)) == 1


async def test_a_rotated_authority_is_trusted_from_the_second_try_on(
    listener: Listener, tmp_path: Path
) -> None:
    authority = tmp_path / "ca.crt"
    authority.write_bytes(create_pki(tmp_path / "before").ca_cert.read_bytes())
    async with connection_to(listener.endpoint.url, authority=authority) as connection:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await ask(connection)
        authority.write_bytes(listener.pki.ca_cert.read_bytes())
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await ask(connection)
        assert (await ask(connection)).status == 200


@pytest.mark.parametrize(("name", "fits"), [("kubernetes.default", True), ("elsewhere.example", False)])
async def test_the_name_in_the_certificate_counts(listener: Listener, name: str, fits: bool) -> None:
    url, authority = f"https://127.0.0.1:{listener.port}", listener.pki.ca_cert
    async with connection_to(url, authority=authority, server_name=name) as connection:
        if fits:
            assert (await ask(connection)).status == 200
        else:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await ask(connection)


def test_on_uvloop_it_is_the_same(pki: Pki) -> None:
    """Its transports are others, and the server runs on it: kept connections, odd and late answers."""
    uvloop.run(_on_uvloop(pki))


async def _on_uvloop(pki: Pki) -> None:
    far = Far(iter([answer(b"1"), answer(b"2") + answer(b"odd"), answer(b"3"), b"", answer(b"5")]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.serving_cert, pki.serving_key)
    server = await asyncio.start_server(far.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with connection_to(f"https://127.0.0.1:{port}", authority=pki.ca_cert) as connection:
        assert [(await ask(connection)).body for _ in range(3)] == [b"1", b"2", b"3"]
        with pytest.raises(TimeoutError):
            await ask(connection, timeout=0.2)
        far.writers[1].write(answer(b"late"))
        assert (await ask(connection)).body == b"5"
    assert far.used == [0, 0, 1, 1, 2]
    assert len(far.writers) == 3
    await until(lambda: all(writer.transport.is_closing() for writer in far.writers))
    server.close()
