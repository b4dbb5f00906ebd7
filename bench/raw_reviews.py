"""The time of a review for a minimal client: the unit for the guard's latency."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from bench.testbed import WORKSPACE
from workspace_authz.kubernetes.configuration import load_configuration
from workspace_authz.kubernetes.tls import tls_of

_Question = tuple[str, str, Mapping[str, Any]]

_IDENTITY: Final[_Question] = ("authentication.k8s.io", "SelfSubjectReview", {})
_ACCESS: Final[_Question] = (
    "authorization.k8s.io",
    "SelfSubjectAccessReview",
    {
        "resourceAttributes": {
            "group": "mlflow.kubeflow.org",
            "resource": "experiments",
            "verb": "get",
            "namespace": WORKSPACE,
        }
    },
)


@dataclass(frozen=True, slots=True)
class RawReviews:
    """A minimal client with two persistent connections to the API server."""

    connections: tuple[socket.socket, socket.socket]

    @classmethod
    def of(cls, kubeconfig: Path) -> RawReviews:
        """Connect to the API server of ``kubeconfig``."""
        configuration = asyncio.run(load_configuration(str(kubeconfig), with_credential=False))
        url, tls = urlsplit(configuration.host), tls_of(configuration)

        def connected() -> socket.socket:
            tcp = socket.create_connection((str(url.hostname), url.port or 443))
            tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return tls.wrap_socket(tcp, server_hostname=url.hostname)

        return cls((connected(), connected()))

    def one_review(self, token: str) -> float:
        """The time of one access review, in seconds."""
        begun = time.perf_counter()
        _send(self.connections[0], _ACCESS, token)
        _receive(self.connections[0])
        return time.perf_counter() - begun

    def two_reviews(self, token: str) -> float:
        """The time of an identity review and an access review at the same time, in seconds."""
        begun = time.perf_counter()
        for connection, question in zip(self.connections, (_ACCESS, _IDENTITY), strict=True):
            _send(connection, question, token)
        for connection in self.connections:
            _receive(connection)
        return time.perf_counter() - begun


def _send(connection: socket.socket, question: _Question, token: str) -> None:
    group, kind, spec = question
    body = json.dumps({"apiVersion": f"{group}/v1", "kind": kind, "spec": spec})
    connection.sendall(
        f"POST /apis/{group}/v1/{kind.lower()}s HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    )


def _receive(connection: socket.socket) -> None:
    text = b""
    while b"\r\n\r\n" not in text:
        text += _more(connection)
    head, _, body = text.partition(b"\r\n\r\n")
    if b" 201 " not in head.partition(b"\r\n")[0]:
        raise RuntimeError(f"a review failed: {text[:300]!r}")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += _more(connection)


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise RuntimeError("the API server closed the connection")
    return data
