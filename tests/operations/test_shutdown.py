"""A pod that ends finishes the downloads that it has begun, as the Deployment grants it the time to."""

from __future__ import annotations

import http.client
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.harness.http import bearer
from tests.harness.server import WORKSPACE, MlflowServer, ServerOptions, mlflow_server
from tests.manifests.flat import objects, workloads
from tests.scenarios.people import TEAM_A, Cluster

BYTES = 48 * 1024 * 1024
"""More than all the buffers between MLflow and a client that does not read."""


def timeouts() -> dict[str, str]:
    """What the Deployment tells uvicorn."""
    (server,) = [each for each in workloads(objects("production")) if each.kind == "Deployment"]
    entries = server.pod["containers"][0]["env"]
    return {each["name"]: each["value"] for each in entries if each["name"].startswith("UVICORN_TIMEOUT_")}


@contextmanager
def begun_download(server: MlflowServer, token: str, path: str) -> Iterator[http.client.HTTPResponse]:
    """The answer to a GET, of which nothing has been read."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=300)
    with closing(connection):
        connection.request("GET", path, headers={**bearer(token), WORKSPACE: TEAM_A})
        with closing(connection.getresponse()) as answer:
            yield answer


def test_a_download_that_has_begun_is_finished_after_sigterm(cluster: Cluster, tmp_path: Path) -> None:
    options = ServerOptions(kubeconfig=cluster.plane.server_kubeconfig, workers=2, environment=timeouts())
    alice = cluster.people.alice.token
    with mlflow_server(tmp_path / "server", options) as server:
        made = server.ask(
            "POST",
            "/api/2.0/mlflow/experiments/create",
            token=alice,
            workspace=TEAM_A,
            json_body={"name": "shutdown"},
        ).json["experiment_id"]
        path = f"/api/2.0/mlflow-artifacts/artifacts/{made}/large.bin"
        sent = server.ask("PUT", path, token=alice, workspace=TEAM_A, body=b"x" * BYTES)
        assert sent.status == 200, sent.text
        with begun_download(server, alice, path) as answer:
            assert answer.status == 200
            # As the kubelet does it: to the first process only.
            server.process.process.send_signal(signal.SIGTERM)
            waits = "Waiting for connections to close"
            server.process.wait_until(lambda: waits in server.process.output, seconds=120)
            assert len(answer.read()) == BYTES

        assert ended(server) == 0


def ended(server: MlflowServer) -> int:
    """The exit status of ``mlflow server``."""
    try:
        return server.process.process.wait(timeout=120)
    except subprocess.TimeoutExpired as error:
        raise AssertionError("it waits although nobody is connected") from error
