"""The component ``ca-bundle``: its script as the manifest has it, and where its result is looked for."""

from __future__ import annotations

import os
import ssl
import subprocess
from pathlib import Path

import certifi
import pytest

from tests.harness.processes import PROGRAMS
from tests.manifests.flat import Workload, objects, workloads
from tests.manifests.test_references import variables
from workspace_authz.devplane.pki import create_pki

BUNDLE = "/tmp/ca-bundle.crt"
WORKLOADS = workloads(objects("openshift"))


def trusted(file: str | Path) -> set[bytes]:
    """The certificates in a file, as an SSL library reads them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(file)
    return set(context.get_ca_certs(binary_form=True))


@pytest.mark.parametrize("load", WORKLOADS, ids=str)
def test_the_bundle_holds_what_the_image_trusts_and_every_file_of_the_configmap(
    load: Workload, tmp_path: Path
) -> None:
    """Given files whose last line does not end, as ``oc create configmap`` makes them."""
    first = load.pod["initContainers"][0]
    own = tmp_path / "ca"
    own.mkdir()
    for name in ("one", "other"):
        text = create_pki(tmp_path / name).ca_cert.read_text().rstrip("\n")
        (own / f"{name}.crt").write_text(text)
    script = first["command"][-1].replace("/ca/*", f"{own}/*").replace(BUNDLE, str(tmp_path / "bundle.crt"))

    environment = {"PATH": f"{PROGRAMS}:{os.environ['PATH']}"}
    subprocess.run([*first["command"][:-1], script], env=environment, check=True)

    added = {certificate for file in own.iterdir() for certificate in trusted(file)}
    assert len(added) == 2
    assert trusted(tmp_path / "bundle.crt") >= added | trusted(certifi.where())


@pytest.mark.parametrize("load", WORKLOADS, ids=str)
def test_every_container_finds_it(load: Workload) -> None:
    assert load.pod["initContainers"][0]["name"] == "ca-bundle"
    for each in load.containers:
        assert "/tmp" in [mount["mountPath"] for mount in each["volumeMounts"] if mount["name"] == "tmp"]
        assert each["name"] == "ca-bundle" or each["envFrom"]


def test_every_client_library_is_told() -> None:
    told = {name for name, value in variables("openshift").items() if value == BUNDLE}
    assert told >= {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "PGSSLROOTCERT"}
