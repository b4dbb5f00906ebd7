"""Requests exactly as a test spells them: nothing is normalised, followed, retried or decoded."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

Headers = Mapping[str, str] | Iterable[tuple[str, str]]
_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One response."""

    status: int
    headers: tuple[tuple[str, str], ...]
    """As sent, names in lower case, sorted."""
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    def header(self, name: str) -> list[str]:
        """Every value of one header."""
        return [value for key, value in self.headers if key == name]

    def without(self, *names: str) -> Answer:
        """The same response without headers that differ for good reason, for comparisons."""
        kept = tuple(item for item in self.headers if item[0] not in names)
        return Answer(self.status, kept, self.body)


@dataclass(slots=True)
class Http:
    """One kept-alive connection to one server; opened again when the server has closed it."""

    url: str
    tls: ssl.SSLContext | None = None
    timeout: float = _TIMEOUT_SECONDS
    _connection: http.client.HTTPConnection | None = field(default=None, repr=False)

    def request(self, method: str, path: str, *, headers: Headers = (), body: bytes | None = None) -> Answer:
        """Send one request. Raises ``OSError`` or ``http.client.HTTPException`` when there is no answer."""
        reused = self._connection is not None
        try:
            return self._send(method, path, headers, body)
        except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLEOFError):
            if not reused:
                raise
            return self._send(method, path, headers, body)  # the old connection was idle for too long

    def _send(self, method: str, path: str, headers: Headers, body: bytes | None) -> Answer:
        connection = self._connect()
        given = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        try:
            own_host = any(name.lower() == "host" for name, _ in given)
            connection.putrequest(method, path, skip_host=own_host, skip_accept_encoding=True)
            for name, value in given:
                connection.putheader(name, value)
            if body is not None and not any(name.lower() == "content-length" for name, _ in given):
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            content = response.read()
        except BaseException:
            self.close()
            raise
        items = tuple(sorted((name.lower(), value) for name, value in response.getheaders()))
        return Answer(response.status, items, content)

    def _connect(self) -> http.client.HTTPConnection:
        if self._connection is None:
            parts = urlsplit(self.url)
            host, port = parts.hostname or "", parts.port
            if self.tls is not None:
                self._connection = http.client.HTTPSConnection(
                    host, port, timeout=self.timeout, context=self.tls
                )
            else:
                self._connection = http.client.HTTPConnection(host, port, timeout=self.timeout)
        return self._connection

    def close(self) -> None:
        """Close the connection. The next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def bearer(token: str) -> dict[str, str]:
    """The header of a token."""
    return {"Authorization": f"Bearer {token}"}
