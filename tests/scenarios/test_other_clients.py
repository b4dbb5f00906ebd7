"""Clients that are not Python: what they send arrives whole, also where they offer an upgrade."""

from __future__ import annotations

import json
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.http import Answer
from tests.harness.other_clients import CLIENTS, UPGRADING, Upload, send
from tests.harness.server import MlflowServer
from tests.scenarios.people import TEAM_A, Cluster

CREATE = "/api/2.0/mlflow/experiments/create"
FIND = "/api/2.0/mlflow/experiments/get-by-name"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
_EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


WEBSOCKET = "Node, websocket"


@dataclass(frozen=True, slots=True)
class Alice:
    """Sends files with any client."""

    server: MlflowServer
    token: str
    file: Path

    def sends(
        self, client: str, method: str, path: str, *, content_type: str, body: bytes
    ) -> tuple[int, bytes]:
        self.file.write_bytes(body)
        upload = Upload(
            method=method,
            url=self.server.url + path,
            token=self.token,
            workspace=TEAM_A,
            content_type=content_type,
            file=self.file,
        )
        return send(client, upload)

    def creates(self, client: str, name: str) -> tuple[int, bytes]:
        body = json.dumps({"name": name}).encode()
        return self.sends(client, "POST", CREATE, content_type="application/json", body=body)

    def finds(self, name: str) -> Answer:
        path = f"{FIND}?experiment_name={name}"
        return self.server.ask("GET", path, token=self.token, workspace=TEAM_A)


@pytest.fixture
def alice(server: MlflowServer, cluster: Cluster, tmp_path: Path) -> Alice:
    return Alice(server, cluster.people.alice.token, tmp_path / "body")


@pytest.mark.parametrize("client", [client for client in CLIENTS if client != WEBSOCKET])
def test_an_experiment_is_created(alice: Alice, client: str) -> None:
    name = f"made-{secrets.token_hex(8)}"
    status, answer = alice.creates(client, name)
    assert status == 200, answer
    assert alice.finds(name).json["experiment"]["experiment_id"] == json.loads(answer)["experiment_id"]


def test_flask_refuses_a_websocket_and_nothing_is_created(alice: Alice) -> None:
    """Werkzeug does, under stock MLflow, too: no route of MLflow is one for WebSockets."""
    name = f"made-{secrets.token_hex(8)}"
    status, _ = alice.creates(WEBSOCKET, name)
    assert status == 400
    assert alice.finds(name).status == 404


@pytest.mark.parametrize("client", CLIENTS)
def test_an_uploaded_file_is_stored_whole(alice: Alice, client: str) -> None:
    name, token = f"made-{secrets.token_hex(8)}", alice.token
    made = alice.server.ask("POST", CREATE, token=token, workspace=TEAM_A, json_body={"name": name})
    path = f"{ARTIFACTS}/{made.json['experiment_id']}/run/artifacts/file.bin"
    content = secrets.token_bytes(300_000)
    status, answer = alice.sends(client, "PUT", path, content_type="application/octet-stream", body=content)
    assert status == 200, answer
    stored = alice.server.ask("GET", path, token=token, workspace=TEAM_A)
    assert (stored.status, stored.body) == (200, content)


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
