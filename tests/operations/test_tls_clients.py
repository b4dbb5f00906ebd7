"""MLflow's SDK at a server with TLS: what it trusts, and what it says where it does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.harness.processes import ROOT
from tests.harness.sdk import sdk
from tests.harness.server import MlflowServer
from tests.operations.secret import SecretMount
from tests.operations.test_certificate import wait_for
from tests.scenarios import steps
from tests.scenarios.people import TEAM_A, Cluster
from workspace_authz.devplane.pki import create_pki


@pytest.fixture(scope="module")
def authority(server: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CA of the certificate that the server shows from now on."""
    assert server.options.certificate is not None
    pki = create_pki(tmp_path_factory.mktemp("authority"))
    SecretMount(server.options.certificate[0].parent).put(pki)
    wait_for(pki.serving_cert.read_bytes(), server=server)
    return pki.ca_cert


@pytest.mark.parametrize("how", ["a CA bundle", "REQUESTS_CA_BUNDLE", "no check"])
def test_what_the_sdk_trusts(
    server: MlflowServer, cluster: Cluster, authority: Path, tmp_path: Path, how: str
) -> None:
    variables = {
        "a CA bundle": {"MLFLOW_TRACKING_SERVER_CERT_PATH": str(authority)},
        "REQUESTS_CA_BUNDLE": {"REQUESTS_CA_BUNDLE": str(authority)},
        "no check": {"MLFLOW_TRACKING_INSECURE_TLS": "true"},
    }[how]
    token = cluster.people.alice.token
    with sdk(server.uri, tmp_path, token=token, workspace=TEAM_A, **variables) as alice:
        run = alice.run(steps.create_run, alice.run(steps.create_experiment, f"by {how}"))
        alice.run(steps.upload, run, "note.txt", b"by TLS")
        assert alice.run(steps.download, run, "note.txt") == b"by TLS"


@pytest.mark.parametrize(
    ("scheme", "words"),
    [
        ("https", ["CERTIFICATE_VERIFY_FAILED"]),
        # Which one depends on what arrives first.
        ("http", ["Remote end closed connection without response", "Connection reset by peer"]),
    ],
)
def test_what_the_sdk_says_where_it_does_not(
    server: MlflowServer, cluster: Cluster, tmp_path: Path, scheme: str, words: Sequence[str]
) -> None:
    """Its words stand in docs/clients.md, with what to do."""
    documented = (ROOT / "docs" / "clients.md").read_text()
    uri = server.uri.replace("https", scheme, 1)
    variables: Mapping[str, str] = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    token = cluster.people.alice.token
    with sdk(uri, tmp_path, token=token, workspace=TEAM_A, **variables) as alice:
        message = alice.fails(steps.experiment_names).message
    assert any(each in message for each in words)
    assert all(each in documented for each in words)
    assert token not in message
