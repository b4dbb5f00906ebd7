"""Pools of TLS connections to one API server: as the server itself, and as one caller after another.

:class:`Connection` is one pool. :func:`server_connection` carries the server's own credential;
:func:`caller_connection` carries none at all: no client certificate (with one on the connection the API
server ignores a bearer token and takes every caller for the server), no cookie jar, no ``.netrc``, and
every request must bring its own token.

Apart from the module ``connection``, because that one imports all of ``kubernetes_asyncio`` (more than a
second), which a command line that only asks a question need not wait for.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import aiohttp

from workspace_authz.errors import ConfigurationError
from workspace_authz.kubernetes.http import MAX_ANSWER_BYTES, USER_AGENT, HttpAnswer, OversizedError

_BEARER: Final = "BearerToken"
_PEM: Final = "-----BEGIN "
_PROBING: Final = {"TCP_KEEPIDLE": 15, "TCP_KEEPALIVE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""Seconds of silence before a probe (Linux, macOS), seconds between probes, probes."""
KEPT_ALIVE_SECONDS: Final = 60.0
"""Less than kube-apiserver's 90 (``http.Server.IdleTimeout``), or it hangs up as we ask."""


class ApiConfiguration(Protocol):
    """Where an API server is and how it knows us: what is used of kubernetes_asyncio's ``Configuration``."""

    @property
    def host(self) -> str:
        """The URL."""

    @property
    def ssl_ca_cert(self) -> str | None:
        """The CA to verify with: the path of a PEM file, or PEM itself; None: the machine's."""

    @property
    def verify_ssl(self) -> bool:
        """False: any certificate will do."""

    @property
    def tls_server_name(self) -> str | None:
        """The name in the certificate, where it is not that of the URL."""

    @property
    def cert_file(self) -> str | None:
        """Our own client certificate."""

    @property
    def key_file(self) -> str | None:
        """Its key."""

    @property
    def proxy(self) -> str | None:
        """The URL of a proxy; None: as the environment says."""

    async def get_api_key_with_prefix(self, identifier: str) -> str | None:
        """Our own ``Authorization`` header for ``identifier`` "BearerToken", renewed if need be."""


def describe_failure(error: BaseException) -> str:
    """Why there was no answer. Not ``str(error)``: some of aiohttp's quote URLs, with a proxy's password."""
    match error:
        case TimeoutError():
            return "the API server did not answer in time"
        case aiohttp.ClientConnectorCertificateError(certificate_error=reason):
            return f"the API server's certificate is refused: {reason}"
        case aiohttp.ClientConnectorError(os_error=reason):
            return f"no connection: {reason.strerror or type(reason).__name__}"
        case _:
            return f"the connection failed: {type(error).__name__}"


def tls_of(configuration: ApiConfiguration, *, with_client_certificate: bool) -> ssl.SSLContext:
    """How to verify the API server and, if so, how to show who we are. Raises ``ConfigurationError``."""
    authority = configuration.ssl_ca_cert
    try:
        if authority and authority.startswith(_PEM):
            context = ssl.create_default_context(cadata=authority)
        else:
            context = ssl.create_default_context(cafile=authority)
        if with_client_certificate and configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    except OSError as error:
        raise ConfigurationError(
            "The certificates of the Kubernetes configuration cannot be used: "
            f"{error.strerror or type(error).__name__}."
        ) from error
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    # Many clusters' own CAs lack the extensions that Python 3.13's strict mode demands.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def trust_again(context: ssl.SSLContext, configuration: ApiConfiguration) -> None:
    """Trust what the CA file holds by now, too: a cluster's CA is rotated while we run. Reads a file."""
    authority = configuration.ssl_ca_cert
    if authority and not authority.startswith(_PEM):
        with suppress(OSError):
            context.load_verify_locations(cafile=authority)


def proxy_of(configuration: ApiConfiguration) -> str | None:
    """The URL of the proxy that stands before the API server, or None."""
    if configuration.proxy:
        return str(configuration.proxy)
    host = urlsplit(configuration.host).hostname or ""
    if urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get("https")


def notice_silence(connection: socket.socket) -> None:
    """Let the system notice within half a minute that the other end is gone without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _PROBING.items():
        # Each system has its own.
        if (option := getattr(socket, name, None)) is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    notice_silence(made)
    return made


class Connection:
    """A pool of kept-alive TLS connections to one API server. Use inside one event loop; close it."""

    def __init__(self, configuration: ApiConfiguration, *, as_server: bool, limit: int) -> None:
        self.host = str(configuration.host).rstrip("/")
        self._configuration = configuration
        self._as_server = as_server
        self._proxy = proxy_of(configuration)
        self._server_name = configuration.tls_server_name or None
        self._tls = tls_of(configuration, with_client_certificate=as_server)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=self._tls,
                limit=limit,
                keepalive_timeout=KEPT_ALIVE_SECONDS,
                socket_factory=_socket,
            ),
            headers={"User-Agent": USER_AGENT},
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            read_bufsize=2**21,
        )

    async def _headers(self, token: str | None) -> dict[str, str]:
        if not self._as_server:
            if not token:
                raise ValueError("a caller's request needs the caller's token")
            return {"Authorization": f"Bearer {token}"}
        # Runs the refresh hook too: a pod's token file is rotated, a kubeconfig's exec plugin renews.
        own = await self._configuration.get_api_key_with_prefix(_BEARER)
        return {"Authorization": own} if own else {}

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        json: Any = None,
        query: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send one request and yield the response, its body unread. Redirects are not followed.

        Raises ``aiohttp.ClientError`` or ``TimeoutError``.
        """
        headers = await self._headers(token)
        try:
            async with self._session.request(
                method,
                self.host + path,
                headers=headers,
                json=json,
                params=query,
                timeout=timeout,
                allow_redirects=False,
                proxy=self._proxy,
                server_hostname=self._server_name,
            ) as response:
                yield response
        except aiohttp.ClientConnectorCertificateError:
            await asyncio.to_thread(trust_again, self._tls, self._configuration)
            raise

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
                response.status, headers.get("Date"), headers.get("Retry-After"), b"".join(chunks)
            )

    async def close(self) -> None:
        """Close every connection of the pool."""
        await self._session.close()
        await asyncio.sleep(0)


def server_connection(configuration: ApiConfiguration, *, limit: int = 16) -> Connection:
    """Connections that carry the server's own credential: for lists and watches only."""
    return Connection(configuration, as_server=True, limit=limit)


def caller_connection(configuration: ApiConfiguration, *, limit: int = 64) -> Connection:
    """Connections that carry nobody's credential: for reviews with the caller's token."""
    return Connection(configuration, as_server=False, limit=limit)
