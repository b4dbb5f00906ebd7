"""The server's own credential is renewed while the server runs, after a 401 and on new connections."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import aiohttp
import pytest

from tests.kubernetes.listener import Listener
from workspace_authz.devplane.pki import Pki
from workspace_authz.kubernetes.configuration import ApiConfiguration
from workspace_authz.kubernetes.connection import (
    Connection,
    caller_connection,
    describe_failure,
    server_connection,
)
from workspace_authz.kubernetes.own_credential import (
    ClientAuth,
    ClientCertificate,
    CredentialError,
    Impersonation,
    OwnCredential,
)

TIMEOUT = aiohttp.ClientTimeout(total=60)


@dataclass
class Renewable:
    """A credential that has another one after each refusal, as long as there is one."""

    auths: list[ClientAuth]
    renewals: list[ClientAuth] = field(default_factory=list)

    async def current(self) -> ClientAuth:
        return self.auths[0]

    async def renewed(self, rejected: ClientAuth) -> ClientAuth:
        self.renewals.append(rejected)
        if len(self.auths) > 1 and self.auths[0] == rejected:
            self.auths.pop(0)
        return self.auths[0]


class Broken:
    """A credential that cannot be had."""

    async def current(self) -> ClientAuth:
        raise CredentialError("The credential plugin x of the kubeconfig ended with status 1.")

    async def renewed(self, rejected: ClientAuth) -> ClientAuth:
        return await self.current()


def connection_to(listener: Listener, credential: OwnCredential) -> Connection:
    configuration = ApiConfiguration(
        listener.endpoint.url, ca_file=str(listener.pki.ca_cert), credential=credential
    )
    return server_connection(configuration)


async def status(connection: Connection, path: str = "/x") -> int:
    async with connection.request("GET", path, timeout=TIMEOUT) as response:
        return response.status


async def test_a_rejected_token_is_renewed_and_the_request_sent_again(listener: Listener) -> None:
    listener.rejected = {"first"}
    credential = Renewable([ClientAuth("first"), ClientAuth("second")])
    connection = connection_to(listener, credential)
    assert [await status(connection) for _ in range(2)] == [200, 200]
    await connection.close()
    assert [sent["authorization"] for sent in listener.headers] == [
        "Bearer first",
        "Bearer second",
        "Bearer second",
    ]


async def test_a_token_that_cannot_be_renewed_is_sent_once(listener: Listener) -> None:
    listener.rejected = {"only"}
    credential = Renewable([ClientAuth("only")])
    connection = connection_to(listener, credential)
    assert await status(connection) == 401
    await connection.close()
    assert (len(listener.headers), credential.renewals) == (1, [ClientAuth("only")])


async def test_a_renewed_token_that_is_rejected_too_is_the_answer(listener: Listener) -> None:
    listener.rejected = {"first", "second"}
    connection = connection_to(listener, Renewable([ClientAuth("first"), ClientAuth("second")]))
    assert await status(connection) == 401
    await connection.close()
    assert len(listener.headers) == 2


async def test_a_callers_rejected_token_renews_nothing(listener: Listener) -> None:
    listener.rejected = {"garbage"}
    credential = Renewable([ClientAuth("own"), ClientAuth("other")])
    configuration = ApiConfiguration(
        listener.endpoint.url, ca_file=str(listener.pki.ca_cert), credential=credential
    )
    connection = caller_connection(configuration)
    async with connection.request("GET", "/x", token="garbage", timeout=TIMEOUT) as response:
        assert response.status == 401
    await connection.close()
    assert credential.renewals == []
    assert [sent["authorization"] for sent in listener.headers] == ["Bearer garbage"]


async def test_a_new_certificate_is_shown_on_new_connections_and_running_requests_end_by_themselves(
    listener: Listener, pki: Pki
) -> None:
    admin = ClientCertificate(pki.admin_cert.read_bytes(), pki.admin_key.read_bytes())
    credential = Renewable([ClientAuth(certificate=admin), ClientAuth("without-a-certificate")])
    connection = connection_to(listener, credential)
    async with connection.request("GET", "/big", timeout=TIMEOUT) as running:
        listener.rejected = {"admin"}
        assert await status(connection) == 200
        assert len(await running.read()) == 2**23
    assert await status(connection) == 200
    await connection.close()
    assert listener.certificates == ["admin", "admin", None, None]


async def test_a_credential_that_cannot_be_had_is_said(listener: Listener) -> None:
    connection = connection_to(listener, Broken())
    with pytest.raises(CredentialError) as failure:
        await status(connection)
    await connection.close()
    assert describe_failure(failure.value) == (
        "the server's own credential cannot be had. "
        "The credential plugin x of the kubeconfig ended with status 1"
    )
    assert listener.headers == []


async def test_the_own_connection_acts_as_the_kubeconfig_says_and_a_callers_never(listener: Listener) -> None:
    configuration = ApiConfiguration(
        listener.endpoint.url,
        ca_file=str(listener.pki.ca_cert),
        credential=Renewable([ClientAuth("own")]),
        impersonation=Impersonation("mallory", ("a", "b")),
    )
    own, callers = server_connection(configuration), caller_connection(configuration)
    assert await status(own) == 200
    async with callers.request("GET", "/x", token="alice", timeout=TIMEOUT) as response:
        assert response.status == 200
    await own.close()
    await callers.close()
    assert listener.impersonated == [
        [("Impersonate-User", "mallory"), ("Impersonate-Group", "a"), ("Impersonate-Group", "b")],
        [],
    ]


async def test_the_proxy_is_asked_for_a_tunnel() -> None:
    asked: list[str] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readline()).decode().strip())
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    configuration = ApiConfiguration("https://api.example.com:6443", proxy=f"http://127.0.0.1:{port}")
    connection = caller_connection(configuration)
    with pytest.raises(aiohttp.ClientError):
        async with connection.request("GET", "/x", token="alice", timeout=TIMEOUT):
            pass
    await connection.close()
    server.close()
    assert asked == ["CONNECT api.example.com:6443 HTTP/1.1"]
