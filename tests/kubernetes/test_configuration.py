"""What is read of pods and of kubeconfig files, and how it is refused where it cannot be used."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubernetes.kubeconfigs import kubeconfig
from workspace_authz.devplane.pki import Pki
from workspace_authz.errors import ConfigurationError
from workspace_authz.kubernetes.configuration import ApiConfiguration, load_configuration, pod_namespace
from workspace_authz.kubernetes.connection import caller_connection
from workspace_authz.kubernetes.own_credential import FileCredential, Impersonation
from workspace_authz.kubernetes.tls import tls_of

PROXY = "http://proxy.example.com:3128"


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine's own configuration."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


async def token_of(configuration: ApiConfiguration) -> str:
    return (await configuration.credential.current()).token


async def test_a_kubeconfig_is_read_whole(tmp_path: Path, pki: Pki) -> None:
    authority = pki.ca_cert.read_text()
    (tmp_path / "ca.crt").write_text(f"# with a remark first\n{authority}")
    cluster = {"certificate-authority": "ca.crt", "tls-server-name": "kubernetes", "proxy-url": PROXY}
    path = kubeconfig(tmp_path / "kubeconfig", cluster=cluster, context={"namespace": "team-a"})
    configuration = await load_configuration(path)
    assert configuration == ApiConfiguration(
        "https://api.example.com:6443",
        ca_file=str(tmp_path / "ca.crt"),
        server_name="kubernetes",
        proxy=PROXY,
        namespace="team-a",
    )
    assert await token_of(configuration) == "t"
    assert len(tls_of(configuration).get_ca_certs()) == 1


async def test_an_authority_may_be_inline_and_comes_before_a_file(tmp_path: Path, pki: Pki) -> None:
    data = base64.b64encode(b"# with a remark first\n" + pki.ca_cert.read_bytes()).decode()
    cluster = {"certificate-authority-data": data, "certificate-authority": "missing"}
    configuration = await load_configuration(kubeconfig(tmp_path / "kubeconfig", cluster=cluster))
    assert len(tls_of(configuration).get_ca_certs()) == 1


async def test_verification_may_be_switched_off(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "kubeconfig", cluster={"insecure-skip-tls-verify": True})
    context = tls_of(await load_configuration(path))
    assert (context.check_hostname, int(context.verify_mode)) == (False, 0)


async def test_a_pod_is_found_by_its_mounted_files(
    tmp_path: Path, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    for name, content in (("token", "t\n"), ("ca.crt", pki.ca_cert.read_text()), ("namespace", "team-a")):
        (tmp_path / name).write_text(content)
    configuration = await load_configuration(pod_files=tmp_path)
    assert configuration == ApiConfiguration(
        "https://[fd00::1]:443", ca_file=str(tmp_path / "ca.crt"), namespace="team-a"
    )
    assert await token_of(configuration) == "t"
    assert pod_namespace(tmp_path) == "team-a"


async def test_a_pod_without_a_token_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(ConfigurationError, match="token file"):
        await load_configuration(pod_files=tmp_path)


def test_outside_a_pod_there_is_no_pods_namespace(tmp_path: Path) -> None:
    assert pod_namespace(tmp_path) is None


async def test_a_kubeconfig_comes_before_the_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path / "kubeconfig"))
    assert (await load_configuration(pod_files=tmp_path)).host == "https://api.example.com:6443"


async def test_several_files_are_merged_and_the_first_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As client-go: of one name the first file's entry, the first current context, paths beside each file."""
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
        (folder / "token").write_text(f"token-of-{folder.name}")
    first, second = folders
    (first / "config").write_text(
        yaml.safe_dump(
            {
                "clusters": [{"name": "shared", "cluster": {"server": "https://first.example.com"}}],
                "contexts": [{"name": "c", "context": {"cluster": "shared", "user": "second"}}],
                "current-context": "c",
                "users": None,
            }
        )
    )
    (second / "config").write_text(
        yaml.safe_dump(
            {
                "clusters": [{"name": "shared", "cluster": {"server": "https://second.example.com"}}],
                "users": [{"name": "second", "user": {"tokenFile": "token"}}],
                "current-context": "not-this",
            }
        )
    )
    files = ["", str(tmp_path / "missing"), str(first / "config"), str(second / "config")]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(files))
    configuration = await load_configuration()
    assert configuration.host == "https://first.example.com"
    assert await token_of(configuration) == "token-of-b"


async def test_a_client_certificate_is_read_from_data_and_from_files(tmp_path: Path, pki: Pki) -> None:
    cert, key = pki.admin_cert.read_bytes(), pki.admin_key.read_bytes()
    (tmp_path / "c.pem").write_bytes(cert)
    encoded = [base64.b64encode(part).decode() for part in (cert, key)]
    for user in (
        {"client-certificate": "c.pem", "client-key": str(pki.admin_key)},
        {"client-certificate-data": encoded[0], "client-key-data": encoded[1]},
        {"client-certificate-data": encoded[0], "client-certificate": "no", "client-key": str(pki.admin_key)},
    ):
        configuration = await load_configuration(kubeconfig(tmp_path / "kubeconfig", user=user))
        shown = (await configuration.credential.current()).certificate
        assert shown is not None
        assert (shown.certificate, shown.key) == (cert, key)


async def test_impersonation_is_read_whole(tmp_path: Path) -> None:
    user = {
        "token": "t",
        "as": "mallory",
        "as-groups": ["a", "b"],
        "as-uid": "u-1",
        "as-user-extra": {"odd key": ["z"], "scopes": ["x", "y"]},
    }
    configuration = await load_configuration(kubeconfig(tmp_path / "kubeconfig", user=user))
    assert configuration.impersonation is not None
    assert list(configuration.impersonation.headers()) == [
        ("Impersonate-User", "mallory"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Uid", "u-1"),
        ("Impersonate-Extra-odd%20key", "z"),
        ("Impersonate-Extra-scopes", "x"),
        ("Impersonate-Extra-scopes", "y"),
    ]


def test_what_cannot_be_impersonated_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="with a user"):
        Impersonation("", ("group",))
    with pytest.raises(ConfigurationError, match="cannot be sent"):
        Impersonation("a\r\nX-Other: b")


async def test_the_user_does_not_matter_when_the_caller_brings_a_token(tmp_path: Path) -> None:
    user = {"client-certificate": "missing", "client-key": "missing", "as": "somebody"}
    path = kubeconfig(tmp_path / "kubeconfig", user=user)
    configuration = await load_configuration(path, with_credential=False)
    shown = await configuration.credential.current()
    assert (shown.token, shown.certificate, configuration.impersonation) == ("", None, None)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"user": {"auth-provider": {"name": "oidc", "config": {"id-token": "hidden"}}}}, "exec plugins"),
        ({"user": {"auth-provider": {"name": "gcp"}}}, "exec plugins"),
        ({"user": {"client-certificate": "c"}}, "without a key"),
        ({"user": {"client-key-data": "aGlkZGVu"}}, "without a key"),
        ({"user": {"client-certificate-data": "hidden", "client-key-data": "hidden"}}, "not base64"),
        ({"user": {"client-certificate-data": "aGlkZGVu", "client-key-data": "aGlk"}}, "client certificate"),
        ({"user": {"client-certificate": "missing", "client-key": "k"}}, "No such file"),
        ({"user": {"token": ["hidden"]}}, "token is not a text"),
        ({"user": {"token": "two hidden"}}, "characters"),
        ({"user": {"tokenFile": "missing"}}, "token file"),
        ({"user": {"token": "hidden", "as-groups": ["g"]}}, "with a user"),
        ({"user": {"exec": {"command": "hidden"}}}, "apiVersion of its exec plugin"),
        ({"user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1"}}}, "has no command"),
        ({"user": {"exec": "hidden"}}, "exec is malformed"),
        ({"cluster": {"certificate-authority-data": "hidden"}}, "not base64"),
        ({"cluster": {"insecure-skip-tls-verify": "hidden"}}, "neither true nor false"),
        ({"cluster": {"server": "api.example.com:6443"}}, "not a URL with http or https"),
        ({"cluster": {"server": ""}}, "not a URL"),
        ({"cluster": {"proxy-url": "socks5://user:hidden@proxy:1080"}}, "proxy-url cannot be used"),
        ({"cluster": {"proxy-url": "proxy.example.com:3128"}}, "proxy-url cannot be used"),
        ({"context": {"cluster": "unknown"}}, "clusters have no 'unknown'"),
        ({"context": {"user": "unknown"}}, "users have no 'unknown'"),
    ],
)
async def test_what_cannot_be_used_is_one_sentence_without_its_secrets(
    tmp_path: Path, parts: dict[str, Any], said: str
) -> None:
    path = kubeconfig(tmp_path / "kubeconfig", **parts)
    with pytest.raises(ConfigurationError, match=said) as error:
        await load_configuration(path)
    assert "hidden" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        "just text",
        "clusters: 7",
        "clusters: [7]",
        "\x00",
        "a: {b",
        "kind: Config\ncurrent-context: nothing\nusers: [{name: u, user: {token: hidden}}]",
        "users: [{name: u, user: {token: hidden}}]",
        "current-context: c\nusers: [{name: u, user: {token: hidden}}, {name: u, user: {token: hidden}}]",
        "{{hidden}}: hidden",
    ],
)
async def test_files_that_are_no_kubeconfig_are_refused_in_one_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match="Kubernetes configuration cannot be used") as error:
        await load_configuration(str(path))
    assert "hidden" not in str(error.value)
    assert "\n" not in str(error.value)


async def test_a_name_of_digits_is_a_name(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    kubeconfig(path, name="7")
    path.write_text(path.read_text().replace("'7'", "7"))
    assert await token_of(await load_configuration(str(path))) == "t"


async def test_authorities_that_are_none_are_a_configuration_error(tmp_path: Path) -> None:
    host = "https://api.example.com"
    for configuration in (
        ApiConfiguration(host, ca_file=str(tmp_path / "missing")),
        ApiConfiguration(host, ca_data="-----BEGIN CERTIFICATE-----\n"),
        ApiConfiguration(host, ca_data="no PEM"),
    ):
        with pytest.raises(ConfigurationError, match="certificates"):
            caller_connection(configuration)


def test_no_secret_is_in_the_representation() -> None:
    configuration = ApiConfiguration(
        "https://api.example.com", proxy="http://u:hidden@p", credential=FileCredential("hidden")
    )
    assert "hidden" not in repr(configuration)
