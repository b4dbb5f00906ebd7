"""Two pools: the server's own with its credential, and one for callers that holds nobody's."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from tests.kubernetes.listener import Listener
from workspace_authz import __version__
from workspace_authz.devplane.engine import Endpoint
from workspace_authz.devplane.kubeconfig import certificate_kubeconfig, token_kubeconfig
from workspace_authz.devplane.pki import create_pki
from workspace_authz.errors import ConfigurationError
from workspace_authz.kubernetes.configuration import ApiConfiguration, load_configuration
from workspace_authz.kubernetes.connection import (
    Connection,
    caller_connection,
    describe_failure,
    server_connection,
)

TIMEOUT = aiohttp.ClientTimeout(total=60)


@pytest.fixture(autouse=True)
def _no_kubernetes_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine's own configuration."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def with_certificate(listener: Listener, directory: Path) -> str:
    pki = listener.pki
    file = directory / "certificate.kubeconfig"
    file.write_text(certificate_kubeconfig(listener.endpoint, cert=pki.admin_cert, key=pki.admin_key))
    return str(file)


def with_token(listener: Listener, directory: Path) -> str:
    file = directory / "token.kubeconfig"
    file.write_text(token_kubeconfig(listener.endpoint, "servers-own-token", namespace="mlflow"))
    return str(file)


async def ask(connection: Connection, *, token: str | None = None, times: int = 1) -> None:
    try:
        for _ in range(times):
            async with connection.request("GET", "/x", token=token, timeout=TIMEOUT) as response:
                assert response.status == 200
    finally:
        await connection.close()


async def once(connection: Connection) -> None:
    async with connection.request("GET", "/x", token="alice", timeout=TIMEOUT) as response:
        assert response.status == 200


async def test_the_servers_own_connection_shows_its_certificate(listener: Listener, tmp_path: Path) -> None:
    await ask(server_connection(await load_configuration(with_certificate(listener, tmp_path))))
    assert listener.certificates == ["admin"]


async def test_a_callers_connection_shows_no_certificate(listener: Listener, tmp_path: Path) -> None:
    """With one, an API server would not look at the token and take every caller for the server."""
    configuration = await load_configuration(with_certificate(listener, tmp_path))
    await ask(caller_connection(configuration), token="alice")
    assert listener.certificates == [None]
    assert listener.headers[0]["authorization"] == "Bearer alice"


async def test_a_callers_connection_carries_the_callers_token_and_not_the_servers(
    listener: Listener, tmp_path: Path
) -> None:
    configuration = await load_configuration(with_token(listener, tmp_path))
    await ask(caller_connection(configuration), token="alice")
    await ask(server_connection(configuration))
    assert [sent["authorization"] for sent in listener.headers] == [
        "Bearer alice",
        "Bearer servers-own-token",
    ]


@pytest.mark.parametrize("token", [None, ""])
async def test_a_callers_connection_sends_nothing_without_a_token(
    listener: Listener, tmp_path: Path, token: str | None
) -> None:
    configuration = await load_configuration(with_token(listener, tmp_path))
    with pytest.raises(ValueError, match="caller's token"):
        await ask(caller_connection(configuration), token=token)
    assert listener.headers == []


async def test_a_connection_keeps_no_cookie(listener: Listener, tmp_path: Path) -> None:
    configuration = await load_configuration(with_token(listener, tmp_path))
    await ask(caller_connection(configuration), token="alice", times=2)
    await ask(server_connection(configuration), times=2)
    assert [sent.get("cookie") for sent in listener.headers] == [None] * 4


async def test_a_connection_reads_no_netrc(
    listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    configuration = await load_configuration(with_token(listener, tmp_path))
    await ask(caller_connection(configuration), token="alice")
    assert listener.headers[0]["authorization"] == "Bearer alice"


async def test_a_server_with_another_authoritys_certificate_is_not_trusted(
    listener: Listener, tmp_path: Path
) -> None:
    other = create_pki(tmp_path / "other")
    endpoint = Endpoint(listener.endpoint.url, other.ca_cert, admin_token="t")
    file = tmp_path / "kubeconfig"
    file.write_text(token_kubeconfig(endpoint, "servers-own-token"))
    with pytest.raises(aiohttp.ClientConnectorCertificateError) as failure:
        await ask(caller_connection(await load_configuration(str(file))), token="alice")
    assert describe_failure(failure.value).startswith("the API server's certificate is refused")
    assert listener.headers == []


async def test_a_rotated_authority_is_trusted_from_the_second_try_on(
    listener: Listener, tmp_path: Path
) -> None:
    """Given a new certificate by a new CA, when the CA file has that CA, then no restart is needed."""
    authority = tmp_path / "ca.crt"
    authority.write_bytes(create_pki(tmp_path / "before").ca_cert.read_bytes())
    connection = caller_connection(ApiConfiguration(host=listener.endpoint.url, ca_file=str(authority)))
    for written in (b"", listener.pki.ca_cert.read_bytes()):
        # Nothing is trusted before it is in the file, and a file being written harms nothing.
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await once(connection)
        authority.write_bytes(written)
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await once(connection)
    await once(connection)
    await connection.close()


async def test_we_say_who_we_are(listener: Listener, tmp_path: Path) -> None:
    await ask(caller_connection(await load_configuration(with_token(listener, tmp_path))), token="alice")
    assert listener.headers[0]["user-agent"] == f"workspace-authz/{__version__}"


async def test_questions_one_after_another_take_one_connection(listener: Listener, tmp_path: Path) -> None:
    configuration = await load_configuration(with_token(listener, tmp_path))
    await ask(caller_connection(configuration), token="alice", times=20)
    assert len(set(listener.connections)) == 1


async def test_a_connection_notices_that_its_other_end_is_gone(listener: Listener, tmp_path: Path) -> None:
    """The system asks the other end by itself while nothing is sent."""
    connection = caller_connection(await load_configuration(with_token(listener, tmp_path)))
    async with connection.request("GET", "/big", token="alice", timeout=TIMEOUT) as response:
        assert response.connection is not None
        assert response.connection.transport is not None
        made = response.connection.transport.get_extra_info("socket")
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        if hasattr(socket, "TCP_KEEPIDLE"):
            assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 15
    await connection.close()


async def test_where_the_configuration_is_looked_for(
    listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An explicit file, then KUBECONFIG, then the home directory."""
    url = listener.endpoint.url
    with pytest.raises(ConfigurationError, match="run in a pod, or set KUBECONFIG"):
        await load_configuration()
    home = tmp_path / ".kube" / "config"
    home.parent.mkdir()
    home.write_text(token_kubeconfig(listener.endpoint, "from-home"))
    assert (await load_configuration()).host == url
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(ConfigurationError, match="cannot be used"):
        await load_configuration()
    explicit = with_token(listener, tmp_path)
    assert (await load_configuration(explicit)).host == url
    assert (await load_configuration(explicit)).namespace == "mlflow"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "a: {b",
        "clusters: 3",
        "kind: Config\ncurrent-context: nothing\nusers: [{name: u, user: {token: my-secret}}]",
    ],
)
async def test_a_file_that_is_no_kubeconfig_is_one_sentence_without_its_secrets(
    tmp_path: Path, content: str
) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match="Kubernetes configuration cannot be used") as failure:
        await load_configuration(str(file))
    assert "my-secret" not in str(failure.value)
    assert "\n" not in str(failure.value)


def test_why_there_was_no_answer() -> None:
    assert describe_failure(TimeoutError()) == "the API server did not answer in time"
    assert describe_failure(aiohttp.ServerDisconnectedError()) == (
        "the connection failed: ServerDisconnectedError"
    )


async def test_a_refused_connection_is_described_without_the_urls_password() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError) as failure:
            await session.get("http://somebody:secret@127.0.0.1:9/")
    described = describe_failure(failure.value)
    assert described.startswith("no connection: ")
    assert "secret" not in described


@pytest.mark.parametrize("token", ["a b", "a\r\nX-Remote-User: root", "a\x00", "ä"])
async def test_what_is_no_token_is_not_sent(listener: Listener, tmp_path: Path, token: str) -> None:
    configuration = await load_configuration(with_token(listener, tmp_path))
    with pytest.raises(ValueError, match="caller's token"):
        await ask(caller_connection(configuration), token=token)
    assert listener.headers == []


async def test_what_nobody_asked_for_is_nobodys_answer() -> None:
    """An answer that comes while nothing is asked must not be the next caller's."""
    writers: list[asyncio.StreamWriter] = []

    def answer(body: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer(b"right"))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    connection = caller_connection(ApiConfiguration(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))

    async def get() -> bytes:
        async with connection.request("GET", "/x", token="alice", timeout=TIMEOUT) as response:
            return await response.read()

    assert [await get(), await get()] == [b"right"] * 2
    assert len(writers) == 1
    writers[0].write(answer(b"of somebody else"))
    await asyncio.sleep(0.05)
    assert await get() == b"right"
    assert len(writers) == 2
    await connection.close()
    for writer in writers:
        writer.close()
    server.close()
