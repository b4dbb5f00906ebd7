"""Pools of TLS connections to one API server: as the server itself, and as one caller after another.

:class:`Connection` is one pool. :func:`server_connection` carries the server's own credential;
:func:`caller_connection` carries none at all: no client certificate (with one on the connection the API
server ignores a bearer token and takes every caller for the server), no cookie jar, no ``.netrc``, and
every request must bring its own token.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from multidict import CIMultiDict

from workspace_authz.kubernetes.configuration import ApiConfiguration
from workspace_authz.kubernetes.http import MAX_ANSWER_BYTES, USER_AGENT, HttpAnswer, OversizedError
from workspace_authz.kubernetes.own_credential import (
    ClientAuth,
    ClientCertificate,
    CredentialError,
    Impersonation,
)
from workspace_authz.kubernetes.tls import tls_of, trust_again

_KEEPALIVE: Final = {"TCP_KEEPIDLE": 15, "TCP_KEEPALIVE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""Seconds of silence before a probe (Linux, macOS), seconds between probes, probes."""
KEPT_ALIVE_SECONDS: Final = 60.0
"""Less than kube-apiserver's 90 (``http.Server.IdleTimeout``), or it hangs up as we ask."""


def describe_failure(error: BaseException) -> str:
    """Why there was no answer. Not ``str(error)``: some of aiohttp's quote URLs, with a proxy's password."""
    match error:
        case CredentialError():
            return f"the server's own credential cannot be had. {error}".rstrip(".")
        case TimeoutError():
            return "the API server did not answer in time"
        case aiohttp.ClientConnectorCertificateError(certificate_error=reason):
            return f"the API server's certificate is refused: {reason}"
        case aiohttp.ClientConnectorError(os_error=reason):
            return f"no connection: {reason.strerror or type(reason).__name__}"
        case _:
            return f"the connection failed: {type(error).__name__}"


def detect_dead_peer(connection: socket.socket) -> None:
    """Let the system notice within half a minute that the other end is gone without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        # Each system has its own.
        if (option := getattr(socket, name, None)) is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    detect_dead_peer(made)
    return made


class _Connector(aiohttp.TCPConnector):
    """Never uses a connection again on which something has come that nobody asked for.

    aiohttp looks for that when a connection is given back, not when it is taken: an answer that comes in
    between would be the next caller's. The method is aiohttp's own; a test fails where it has changed.
    """

    async def _get(self, key: Any, traces: Any) -> Any:
        while (found := await super()._get(key, traces)) is not None:
            if found.protocol is not None and not found.protocol.should_close:
                return found
            found.close()
        return None


class _Pool:
    """Connections that show one client certificate, or none. It closes when it is retired and unused."""

    def __init__(self, tls: ssl.SSLContext, certificate: ClientCertificate | None, *, limit: int) -> None:
        self.certificate = certificate
        self.tls = tls
        self.session = aiohttp.ClientSession(
            connector=_Connector(
                ssl=self.tls,
                limit=limit,
                keepalive_timeout=KEPT_ALIVE_SECONDS,
                socket_factory=_socket,
            ),
            headers={"User-Agent": USER_AGENT},
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            read_bufsize=2**21,
        )
        self._requests = 0
        self._retired = False

    @asynccontextmanager
    async def in_use(self) -> AsyncIterator[None]:
        """For as long as a request runs."""
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1
            if self._retired and not self._requests:
                await self.session.close()

    async def retire(self) -> None:
        """Close as soon as the last request has ended."""
        self._retired = True
        if not self._requests:
            await self.session.close()


class Connection:
    """Kept-alive TLS connections to one API server. Use inside one event loop; close it."""

    def __init__(self, configuration: ApiConfiguration, *, as_server: bool, limit: int) -> None:
        self.host = configuration.host.rstrip("/")
        self._configuration = configuration
        self._as_server = as_server
        self._limit = limit
        self._pool = _Pool(tls_of(configuration), None, limit=limit)
        self._pool_lock = asyncio.Lock()
        impersonation = configuration.impersonation
        self._impersonation = tuple(impersonation.headers()) if as_server and impersonation else ()

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        json: Any = None,
        query: Mapping[str, str] | None = None,
        acting_as: Impersonation | None = None,
        timeout: aiohttp.ClientTimeout,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send one request and yield the response, its body unread. Redirects are not followed.

        After a 401 to the server's own credential that is renewed, and the request is sent once more. With
        ``acting_as`` the server's own credential acts as somebody else for this request. Raises
        ``aiohttp.ClientError``, ``TimeoutError`` or :class:`CredentialError`, and ``ValueError`` for a
        caller's request without their token, or as somebody else.
        """
        auth = await self._auth(token)
        options = {"json": json, "params": query, "timeout": timeout}
        if acting_as is not None and not self._as_server:
            raise ValueError("a caller acts as themselves")
        acting = self._impersonation if acting_as is None else tuple(acting_as.headers())
        async with self._sent(method, path, auth=auth, acting=acting, options=options) as response:
            if response.status != 401 or not self._as_server:
                yield response
                return
            renewed = await self._configuration.credential.renewed(auth)
            if renewed == auth:
                yield response
                return
        async with self._sent(method, path, auth=renewed, acting=acting, options=options) as response:
            yield response

    async def _auth(self, token: str | None) -> ClientAuth:
        if self._as_server:
            return await self._configuration.credential.current()
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError("a caller's request needs the caller's token")
        return ClientAuth(token)

    @asynccontextmanager
    async def _sent(
        self,
        method: str,
        path: str,
        *,
        auth: ClientAuth,
        acting: Sequence[tuple[str, str]],
        options: Mapping[str, Any],
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = CIMultiDict(acting)
        if auth.token:
            headers["Authorization"] = f"Bearer {auth.token}"
        pool = self._pool
        if auth.certificate != pool.certificate:
            pool = await self._pool_for(auth.certificate)
        try:
            async with (
                pool.in_use(),
                pool.session.request(
                    method,
                    self.host + path,
                    headers=headers,
                    allow_redirects=False,
                    proxy=self._configuration.proxy,
                    server_hostname=self._configuration.server_name,
                    **options,
                ) as response,
            ):
                yield response
        except aiohttp.ClientConnectorCertificateError:
            await asyncio.to_thread(trust_again, pool.tls, self._configuration)
            raise

    async def _pool_for(self, certificate: ClientCertificate | None) -> _Pool:
        """The pool that shows ``certificate``. Requests that run keep theirs."""
        async with self._pool_lock:
            if self._pool.certificate != certificate:
                tls = await asyncio.to_thread(tls_of, self._configuration, certificate)
                before, self._pool = self._pool, _Pool(tls, certificate, limit=self._limit)
                await before.retire()
            return self._pool

    async def post(
        self, path: str, document: Mapping[str, Any], *, token: str | None, timeout: float
    ) -> HttpAnswer:
        """See :class:`~workspace_authz.kubernetes.http.ReviewTransport`."""
        # Of several API servers behind one address the next may take what a dead one does not.
        bounds = aiohttp.ClientTimeout(total=timeout, sock_connect=timeout / 2)
        async with self.request("POST", path, token=token, json=document, timeout=bounds) as response:
            chunks: list[bytes] = []
            size = 0
            async for chunk in response.content.iter_any():
                chunks.append(chunk)
                size += len(chunk)
                if size > MAX_ANSWER_BYTES:
                    raise OversizedError
            headers = response.headers
            return HttpAnswer(
                status=response.status,
                date=headers.get("Date"),
                retry_after=headers.get("Retry-After"),
                body=b"".join(chunks),
            )

    async def close(self) -> None:
        """Close every connection of the pool."""
        await self._pool.session.close()
        await asyncio.sleep(0)


def server_connection(configuration: ApiConfiguration, *, limit: int = 16) -> Connection:
    """Connections that carry the server's own credential. Never for a question with a caller's token."""
    return Connection(configuration, as_server=True, limit=limit)


def caller_connection(configuration: ApiConfiguration, *, limit: int = 64) -> Connection:
    """Connections that carry nobody's credential: for reviews with the caller's token."""
    return Connection(configuration, as_server=False, limit=limit)
