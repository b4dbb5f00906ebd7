"""The serving certificate is rotated under a server with open streams."""

from __future__ import annotations

import hashlib
import http.client
import os
import ssl
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from tests.harness.http import bearer
from tests.harness.server import WORKSPACE, MlflowServer, trusting
from tests.operations.secret import SecretMount
from tests.operations.workers import only, workers
from tests.scenarios.people import TEAM_A, Cluster
from tests.scenarios.waiting import until
from workspace_authz.devplane.pki import create_pki

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
    wait_for(new, server=server)
    rest = response.read()
    stream.close()

    assert before.strip() != new.strip()
    digest.update(rest)
    assert digest.digest() == hashlib.sha256(content).digest()


def wait_for(new: bytes, *, server: MlflowServer) -> None:
    """Return once each of the workers shows it."""

    def shows(worker: int) -> bool:
        with only(server, worker):
            return shown(server).strip() == new.strip()

    for worker in workers(server):
        until(partial(shows, worker))
