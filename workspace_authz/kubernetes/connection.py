"""The two ways to the API server: as the server itself, and as one caller after another.

:class:`Connection` is one pool of TLS connections. :func:`server_connection` carries the server's own
credential; :func:`caller_connection` carries none at all: no client certificate (with one on the
connection the API server ignores a bearer token and takes every caller for the server), no cookie jar,
no ``.netrc``, and every request must bring its own token.

Where the API server is, and the server's own credential, is found by ``kubernetes_asyncio``.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config import ConfigException, load_incluster_config, load_kube_config

from workspace_authz.errors import ConfigurationError

_BEARER = "BearerToken"


async def load_configuration(kubeconfig: str | None = None) -> Configuration:
    """Find the API server: an explicit file, ``$KUBECONFIG``, the pod's service account, ``~/.kube/config``.

    Raises :class:`ConfigurationError` when none of them is usable.
    """
    configuration = Configuration()
    path = kubeconfig or os.environ.get("KUBECONFIG")
    try:
        if not path and os.environ.get("KUBERNETES_SERVICE_HOST"):
            load_incluster_config(client_configuration=configuration)
        else:
            file = Path(path) if path else Path.home() / ".kube" / "config"
            if not path and not file.exists():
                raise ConfigurationError(
                    "No Kubernetes API server is configured: "
                    "run in a pod, or set KUBECONFIG to a kubeconfig file."
                )
            await load_kube_config(
                config_file=str(file), client_configuration=configuration, persist_config=False
            )
    except (ConfigException, OSError, ValueError, TypeError) as error:
        raise ConfigurationError(f"The Kubernetes configuration cannot be used: {error}") from error
    return configuration


def _tls(configuration: Configuration, *, with_client_certificate: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if with_client_certificate and configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    # Many clusters' own CAs lack the extensions that Python 3.13's strict mode demands.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _proxy(configuration: Configuration) -> str | None:
    if configuration.proxy:
        return str(configuration.proxy)
    host = urlsplit(configuration.host).hostname or ""
    if urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get("https")


class Connection:
    """A pool of kept-alive TLS connections to one API server. Use inside one event loop; close it."""

    def __init__(self, configuration: Configuration, *, as_server: bool, limit: int) -> None:
        self.host = str(configuration.host).rstrip("/")
        self._configuration = configuration
        self._as_server = as_server
        self._proxy = _proxy(configuration)
        self._server_name = configuration.tls_server_name or None
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=_tls(configuration, with_client_certificate=as_server), limit=limit, keepalive_timeout=90
            ),
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

    async def close(self) -> None:
        """Close every connection of the pool."""
        await self._session.close()
        await asyncio.sleep(0)


def server_connection(configuration: Configuration, *, limit: int = 16) -> Connection:
    """Connections that carry the server's own credential: for lists and watches only."""
    return Connection(configuration, as_server=True, limit=limit)


def caller_connection(configuration: Configuration, *, limit: int = 64) -> Connection:
    """Connections that carry nobody's credential: for reviews with the caller's token."""
    return Connection(configuration, as_server=False, limit=limit)
