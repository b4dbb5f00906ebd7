"""Configurations read without kubernetes_asyncio are those that it finds."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from workspace_authz.devplane.pki import create_pki
from workspace_authz.errors import ConfigurationError
from workspace_authz.kubernetes.connection import current_namespace, load_configuration
from workspace_authz.kubernetes.plain import PlainConfiguration, pod_namespace, read_plain
from workspace_authz.kubernetes.transport import ApiConfiguration, caller_connection


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The certificate of a CA, as PEM."""
    return create_pki(tmp_path_factory.mktemp("pki")).ca_cert.read_text()


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def write(
    path: Path,
    *,
    cluster: Mapping[str, Any] | None = None,
    user: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
) -> str:
    document = {
        "current-context": "c",
        "contexts": [
            {"name": "other", "context": {"cluster": "none", "user": "none"}},
            {"name": "c", "context": {"cluster": "k", "user": "u", **(context or {})}},
        ],
        "clusters": [{"name": "k", "cluster": {"server": "https://api.example.com:6443", **(cluster or {})}}],
        "users": [{"name": "u", "user": {"token": "t"} if user is None else dict(user)}],
    }
    path.write_text(yaml.safe_dump(document))
    return str(path)


def authority(configuration: ApiConfiguration) -> str | None:
    """The CA as PEM."""
    given = configuration.ssl_ca_cert
    if given is None or given.startswith("-----BEGIN"):
        return given
    text = Path(given).read_text()
    return text[text.index("-----BEGIN") :]


async def essence(configuration: ApiConfiguration) -> tuple[object, ...]:
    """What a connection is made of."""
    return (
        configuration.host,
        authority(configuration),
        configuration.verify_ssl,
        configuration.tls_server_name or None,
        configuration.proxy or None,
        configuration.cert_file,
        await configuration.get_api_key_with_prefix("BearerToken"),
    )


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"cluster": {"certificate-authority-data": "DATA"}},
        {"cluster": {"certificate-authority": "ca.crt"}},
        {"cluster": {"insecure-skip-tls-verify": True, "tls-server-name": "kubernetes"}},
        {"cluster": {"proxy-url": "http://proxy.example.com:3128"}},
        {"user": {"tokenFile": "token"}},
        {"context": {"namespace": "team-a"}},
    ],
)
async def test_both_ways_find_the_same(tmp_path: Path, ca: str, parts: dict[str, Any]) -> None:
    (tmp_path / "ca.crt").write_text(f"# with a remark first\n{ca}")
    parts = json.loads(json.dumps(parts).replace("DATA", base64.b64encode(ca.encode()).decode()))
    (tmp_path / "token").write_text("from-file")
    path = write(tmp_path / "kubeconfig", **parts)
    plain = read_plain(path, with_credential=True)
    assert plain is not None
    assert await essence(plain) == await essence(await load_configuration(path))
    assert plain.namespace == current_namespace(path)


def test_a_pod_is_found_by_its_mounted_files(
    tmp_path: Path, ca: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    for name, content in (("token", "t\n"), ("ca.crt", ca), ("namespace", "team-a")):
        (tmp_path / name).write_text(content)
    plain = read_plain(None, with_credential=True, pod_files=tmp_path)
    assert plain == PlainConfiguration("https://[fd00::1]:443", ssl_ca_cert=ca, token="t", namespace="team-a")
    assert pod_namespace(tmp_path) == "team-a"


def test_outside_a_pod_there_is_no_pods_namespace(tmp_path: Path) -> None:
    assert pod_namespace(tmp_path) is None


def test_a_kubeconfig_comes_before_the_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBECONFIG", write(tmp_path / "kubeconfig"))
    plain = read_plain(None, with_credential=True, pod_files=tmp_path)
    assert plain is not None
    assert plain.host == "https://api.example.com:6443"


@pytest.mark.parametrize(
    "parts",
    [
        {"user": {"exec": {"command": "x"}}},
        {"user": {"auth-provider": {"name": "oidc"}}},
        {"user": {"client-certificate": "c", "client-key": "k"}},
        {"user": {"token": "t", "tokenFile": "token"}},
        {"user": {"token": "t", "as": "somebody-else"}},
        {"user": {}},
        {"user": {"token": 7}},
        {"user": {"tokenFile": "missing"}},
        {"cluster": {"certificate-authority": "missing"}},
        {"cluster": {"certificate-authority-data": "bm90IFBFTQ=="}},
        {"cluster": {"something-new": True}},
        {"context": {"cluster": "unknown"}},
        {"context": {"user": "unknown"}},
    ],
)
def test_what_takes_more_than_reading_is_left_alone(tmp_path: Path, parts: dict[str, Any]) -> None:
    assert read_plain(write(tmp_path / "kubeconfig", **parts), with_credential=True) is None


def test_the_user_does_not_matter_when_the_caller_brings_a_token(tmp_path: Path) -> None:
    path = write(tmp_path / "kubeconfig", user={"client-certificate": "missing", "client-key": "missing"})
    plain = read_plain(path, with_credential=False)
    assert plain is not None
    assert (plain.token, plain.cert_file) == ("", None)


@pytest.mark.parametrize("content", ["", "[]", "{", "just text", "clusters: 7", "\x00"])
async def test_files_that_are_none_are_refused_in_one_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    assert read_plain(str(path), with_credential=True) is None
    with pytest.raises(ConfigurationError, match="cannot be used"):
        await load_configuration(str(path))
    assert current_namespace(str(path)) is None


@pytest.mark.parametrize(
    "user",
    [
        {
            "auth-provider": {
                "name": "oidc",
                "config": {"refresh-token": "hidden", "id-token": "a.eyJleHAiOjF9.hidden"},
            }
        },
        {"auth-provider": {"name": "oidc", "config": {"refresh-token": "hidden"}}},
        {"auth-provider": {"name": "oidc", "config": {"id-token": "hidden"}}},
        {"exec": {"command": "x", "env": [{"name": "TOKEN", "val": "hidden"}]}, "token": "hidden"},
        {"exec": {"apiVersion": "v1", "command": "x", "args": {"token": "hidden"}}},
        {"client-certificate-data": "hidden", "client-key-data": "hidden"},
    ],
)
async def test_no_entry_of_a_kubeconfig_is_quoted_in_an_error(tmp_path: Path, user: dict[str, Any]) -> None:
    path = write(tmp_path / "kubeconfig", user=user)
    with pytest.raises(ConfigurationError) as error:
        await load_configuration(path)
    assert "hidden" not in str(error.value)
    assert "\n" not in str(error.value)


async def test_certificates_that_are_none_are_a_configuration_error(tmp_path: Path) -> None:
    configuration = PlainConfiguration("https://api.example.com", ssl_ca_cert=str(tmp_path / "missing"))
    with pytest.raises(ConfigurationError, match="certificates"):
        caller_connection(configuration)
    broken = PlainConfiguration("https://api.example.com", ssl_ca_cert="-----BEGIN CERTIFICATE-----\n")
    with pytest.raises(ConfigurationError, match="certificates"):
        caller_connection(broken)


def test_no_token_is_in_the_representation() -> None:
    assert "hidden" not in repr(PlainConfiguration("https://api.example.com", token="hidden"))
