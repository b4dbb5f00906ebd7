"""The serving certificate is rotated under a server with open streams."""

from __future__ import annotations

import hashlib
import http.client
import os
import ssl
import time
from pathlib import Path
from urllib.parse import urlsplit

from tests.harness.http import bearer
from tests.harness.server import WORKSPACE, MlflowServer, trusting
from tests.operations.secret import SecretMount
from tests.scenarios.people import TEAM_A, Cluster
from workspace_authz.devplane.pki import create_pki

_SECONDS = 20.0
_SIZE = 48 * 2**20
"""More than the buffers between server and client hold."""


def shown(server: MlflowServer) -> bytes:
    """The certificate that a new connection gets to see."""
    parts = urlsplit(server.url)
    return ssl.get_server_certificate((parts.hostname or "", parts.port or 0)).encode()


def test_new_connections_see_the_new_one_and_a_stream_goes_on(
    server: MlflowServer, cluster: Cluster, tmp_path: Path
) -> None:
    """Given a download in the middle, when the Secret changes, then it ends well; others see the change."""
    alice = cluster.people.alice.token
    made = server.ask(
        "POST",
        "/api/2.0/mlflow/experiments/create",
        token=alice,
        workspace=TEAM_A,
        json_body={"name": "certificates"},
    )
    path = f"/api/2.0/mlflow-artifacts/artifacts/{made.json['experiment_id']}/large.bin"
    content = os.urandom(_SIZE)
    assert server.ask("PUT", path, token=alice, workspace=TEAM_A, body=content).status == 200
    assert server.options.certificate is not None
    mount = SecretMount(server.options.certificate[0].parent)
    pki = create_pki(tmp_path / "pki-2")
    new = pki.serving_cert.read_bytes()

    parts = urlsplit(server.uri)
    stream = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=60, context=trusting())
    stream.request("GET", parts.path + path, headers={**bearer(alice), WORKSPACE: TEAM_A})
    response = stream.getresponse()
    assert response.status == 200
    digest = hashlib.sha256(response.read(2**20))

    before = shown(server)
    mount.put(pki)
    seen = waited_for(server, new)
    rest = response.read()
    stream.close()

    assert seen
    assert before.strip() != new.strip()
    digest.update(rest)
    assert digest.digest() == hashlib.sha256(content).digest()


def waited_for(server: MlflowServer, new: bytes) -> bool:
    """Whether ten connections in a row, to both workers, come to see it."""
    in_a_row, deadline = 0, time.monotonic() + _SECONDS
    while in_a_row < 10 and time.monotonic() < deadline:
        in_a_row = in_a_row + 1 if shown(server).strip() == new.strip() else 0
    return in_a_row == 10
