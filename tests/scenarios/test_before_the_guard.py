"""What a request meets before the guard: bounds of its head, under two parsers of HTTP; hosts and origins.

httptools is installed where these tests run.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.harness.http import Answer
from tests.harness.server import MlflowServer, ServerOptions, starting
from tests.harness.usage import worker_below
from tests.scenarios.test_start import KUBECONFIG

H11, HTTPTOOLS = "h11", "httptools"
PUBLIC_URL = "https://mlflow.example.com"
PATHS = [
    *("/", "/livez", "/readyz", "/metrics", "/health", "/version", "/static-files/x", "/build/x", "/nowhere"),
    *("/api/2.0/mlflow/experiments/search", "/api/2.0/mlflow-artifacts/artifacts/1/x", "/v1/traces"),
]
_STANDSTILL_SECONDS = 5.0
"""Of CPU time. 100,000 fields took 23 s on a public route where nothing bounded them."""
_MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def servers(database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, MlflowServer]]:
    """A server as it is by default, and one with httptools on purpose. No API server answers them."""
    state = tmp_path_factory.mktemp("bounds")
    kubeconfig = state / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)
    options = ServerOptions(
        kubeconfig=kubeconfig,
        database=database,
        environment={"WORKSPACE_AUTHZ_PUBLIC_URL": PUBLIC_URL},
    )
    given = {H11: (), HTTPTOOLS: ("--uvicorn-opts", "--http httptools")}
    with ExitStack() as stack:
        started = {
            name: stack.enter_context(starting(state / name, replace(options, arguments=more)))
            for name, more in given.items()
        }
        for server in started.values():
            server.process.wait_until(lambda server=server: is_up(server), seconds=240)  # type: ignore[misc]
        yield started


@pytest.fixture(params=[H11, HTTPTOOLS])
def bounded(request: pytest.FixtureRequest, servers: Mapping[str, MlflowServer]) -> MlflowServer:
    return servers[request.param]


def is_up(server: MlflowServer) -> bool:
    with suppress(OSError):
        return server.ask("GET", "/livez").status == 200
    return False


def connected(server: MlflowServer) -> socket.socket:
    host, _, port = server.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=60)


def answer_to(server: MlflowServer, *parts: bytes) -> bytes:
    """What comes back, as far as the server reads what is sent."""
    received = b""
    with connected(server) as connection, suppress(ConnectionError):
        with suppress(ConnectionError):
            for part in parts:
                connection.sendall(part)
        while chunk := connection.recv(65536):
            received += chunk
    return received


def head(path: str, *fields: bytes) -> bytes:
    return b"\r\n".join(
        [f"GET {path} HTTP/1.1".encode(), b"Host: localhost", b"Connection: close", *fields, b"", b""]
    )


def test_h11_is_the_default_and_who_chooses_another_is_told_once(servers: Mapping[str, MlflowServer]) -> None:
    said = {name: server.process.output.count("reads requests with") for name, server in servers.items()}
    assert said == {H11: 0, HTTPTOOLS: 1}


@pytest.mark.parametrize("path", PATHS)
def test_header_fields_are_bounded_on_every_path(bounded: MlflowServer, path: str) -> None:
    """Given 201 small fields, or 80 KB of larger ones, then nobody behind the bound sees them."""
    many = answer_to(bounded, head(path, *[b"X-A: a"] * 201))
    assert many.startswith(b"HTTP/1.1 431 ")
    assert b'{"error_code": "BAD_REQUEST"' in many
    large = answer_to(bounded, head(path, *[b"X-A: " + b"a" * 800] * 100))
    assert large[:13] in (b"HTTP/1.1 431 ", b"HTTP/1.1 400 ", b"")


@pytest.mark.parametrize("path", ["/version", "/static-files/x", "/livez"])
def test_no_number_of_fields_makes_a_worker_stand_still(bounded: MlflowServer, path: str) -> None:
    worker = worker_below(bounded.process.process.pid)
    before = worker.usage().loop
    answer = answer_to(bounded, head(path, *[b"X-A: " + b"a" * 80] * 100_000))
    assert bounded.ask("GET", "/health").status == 200
    assert worker.usage().loop - before < _STANDSTILL_SECONDS
    assert answer[:13] in (b"HTTP/1.1 431 ", b"HTTP/1.1 400 ", b"")


def test_a_field_without_an_end_is_not_kept(servers: Mapping[str, MlflowServer]) -> None:
    """Given the default parser, when a client never ends a field, then the connection ends soon."""
    sent = 0
    with connected(servers[H11]) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: ")
        with suppress(ConnectionError):
            while sent < 64 * _MEBIBYTE:
                sent += connection.send(b"a" * 65536)
    assert sent < 16 * _MEBIBYTE  # what the sockets' buffers hold of it


def test_an_upgrade_with_a_body_is_refused_where_the_parser_would_lose_it(
    servers: Mapping[str, MlflowServer],
) -> None:
    headers = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABk"}
    lossy = servers[HTTPTOOLS].ask("POST", "/v1/traces", headers=headers, body=b"{}")
    assert lossy.status == 400
    assert "--http h11" in lossy.json["message"]
    whole = servers[H11].ask("POST", "/v1/traces", headers=headers, body=b"{}")
    assert whole.status == 401


def test_combining_marks_in_an_origin_are_not_parsed(bounded: MlflowServer) -> None:
    """Given an Origin that Python's urlsplit would normalize for seconds, then it is refused unread."""
    origin = (
        "http://a" + "\N{COMBINING ACUTE ACCENT}" * 15_000 + "\N{COMBINING DOT BELOW}" * 15_000
    ).encode()
    request = head("/api/2.0/mlflow/runs/search", b"Origin: " + origin[:60_000], b"Content-Length: 0")
    answer = answer_to(bounded, request.replace(b"GET", b"POST", 1))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"not ASCII" in answer


def page_of(server: MlflowServer, origin: str, *, host: str) -> Answer:
    """What a page of ``origin`` gets when it changes something. It has no token, so that 401 is the best."""
    headers = {"Host": host, "Origin": origin}
    return server.ask("POST", "/ajax-api/2.0/mlflow/runs/search", headers=headers, json_body={})


def test_mlflows_own_pages_work_at_the_public_url(servers: Mapping[str, MlflowServer]) -> None:
    """Given nothing but the public URL, then MLflow answers to it, and to a port-forward, and to no other."""
    server = servers[H11]
    assert page_of(server, PUBLIC_URL, host="mlflow.example.com").status == 401
    for host in ("localhost:5000", "127.0.0.1:5000"):
        assert page_of(server, f"http://{host}", host=host).status == 401
    for origin in ("https://evil.example", "http://localhost:3000"):
        assert page_of(server, origin, host="mlflow.example.com").text == "Cross-origin request blocked"
    assert page_of(server, PUBLIC_URL, host="evil.example").text.startswith("Invalid Host header")
