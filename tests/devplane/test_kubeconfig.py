"""Kubeconfig files."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from workspace_authz.devplane.engine import Endpoint
from workspace_authz.devplane.kubeconfig import certificate_kubeconfig, token_kubeconfig, write_private


@pytest.fixture
def endpoint(tmp_path: Path) -> Endpoint:
    ca_file = tmp_path / "ca.crt"
    ca_file.write_text("the ca")
    return Endpoint(url="https://127.0.0.1:6443", ca_file=ca_file, admin_token="secret")


def test_a_token_is_inline_and_nothing_else_authenticates(endpoint: Endpoint) -> None:
    config = yaml.safe_load(token_kubeconfig(endpoint, "the-token", namespace="team-a"))
    assert config["users"] == [{"name": "devplane", "user": {"token": "the-token"}}]
    assert config["clusters"][0]["cluster"] == {
        "server": "https://127.0.0.1:6443",
        "certificate-authority-data": "dGhlIGNh",
    }
    assert config["contexts"][0]["context"]["namespace"] == "team-a"
    assert config["current-context"] == config["contexts"][0]["name"]


def test_a_certificate_is_inline_and_nothing_else_authenticates(endpoint: Endpoint, tmp_path: Path) -> None:
    cert, key = tmp_path / "cert", tmp_path / "key"
    cert.write_text("the cert")
    key.write_text("the key")
    config = yaml.safe_load(certificate_kubeconfig(endpoint, cert=cert, key=key))
    assert config["users"][0]["user"] == {
        "client-certificate-data": "dGhlIGNlcnQ=",
        "client-key-data": "dGhlIGtleQ==",
    }


def test_a_private_file_is_for_its_owner_only_even_when_it_replaces_an_open_one(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("readable by all")
    path.chmod(0o644)
    write_private(path, "secret")
    assert path.read_text() == "secret"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["config"]
