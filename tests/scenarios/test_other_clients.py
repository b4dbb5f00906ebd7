"""Clients that are not Python: what they send arrives whole, also where they offer an upgrade."""

from __future__ import annotations

import json
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.other_clients import CLIENTS, UPGRADING, Upload, send
from tests.harness.server import MlflowServer
from tests.scenarios.people import TEAM_A, Cluster

CREATE = "/api/2.0/mlflow/experiments/create"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
_EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("client", CLIENTS)
def test_what_is_sent_arrives_whole(
    server: MlflowServer, cluster: Cluster, tmp_path: Path, client: str
) -> None:
    """Given alice with another client, when she creates and uploads, then nothing is missing."""
    token, name = cluster.people.alice.token, f"made-{secrets.token_hex(8)}"
    file = tmp_path / "body"

    def upload(method: str, path: str, content_type: str) -> tuple[int, bytes]:
        return send(
            client,
            Upload(
                method=method,
                url=server.url + path,
                token=token,
                workspace=TEAM_A,
                content_type=content_type,
                file=file,
            ),
        )

    file.write_text(json.dumps({"name": name}))
    status, answer = upload("POST", CREATE, "application/json")
    assert status == 200, answer
    experiment = json.loads(answer)["experiment_id"]

    file.write_bytes(secrets.token_bytes(300_000))
    path = f"{ARTIFACTS}/{experiment}/run/artifacts/file.bin"
    status, answer = upload("PUT", path, "application/octet-stream")
    assert status == 200, answer
    stored = server.ask("GET", path, token=token, workspace=TEAM_A)
    assert (stored.status, stored.body) == (200, file.read_bytes())


@pytest.mark.parametrize("client", UPGRADING)
def test_these_clients_do_offer_an_upgrade(tmp_path: Path, client: str) -> None:
    file = tmp_path / "body"
    file.write_text("{}")
    with one_request() as (url, head):
        send(
            client,
            Upload(method="POST", url=url, token="x", workspace="x", content_type="text/plain", file=file),
        )
    assert b"\nupgrade: " in head
    assert b"upgrade" in head.partition(b"\nconnection: ")[2].partition(b"\r")[0]


@contextmanager
def one_request() -> Iterator[tuple[str, bytearray]]:
    """A server that answers one request; its head, in lower case, is there after the block."""
    head = bytearray()

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            while b"\r\n\r\n" not in head:
                head.extend(connection.recv(65536).lower())
            connection.sendall(_EMPTY)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                continue

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", head
        thread.join(30)
