"""A pod's own token is read again while the process runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from kubernetes_asyncio.config import incluster_config

from tests.harness.fakes import ManualClock
from workspace_authz.kubernetes import connection as connection_module
from workspace_authz.kubernetes.connection import load_configuration
from workspace_authz.kubernetes.token_file import TokenFile


@dataclass
class Keys:
    api_key: dict[str, str] = field(default_factory=lambda: {"BearerToken": "Bearer first"})


async def test_a_new_token_is_used_within_a_minute(tmp_path: Path) -> None:
    clock, keys, path = ManualClock(), Keys(), tmp_path / "token"
    file = TokenFile(path, monotonic=clock.monotonic)
    path.write_text("second\n")
    clock.advance(59)
    await file.refresh(keys)
    assert keys.api_key == {"BearerToken": "Bearer first"}
    clock.advance(1)
    await file.refresh(keys)
    assert keys.api_key == {"BearerToken": "Bearer second"}
    path.write_text("third")
    await file.refresh(keys)
    assert keys.api_key == {"BearerToken": "Bearer second"}
    clock.advance(60)
    await file.refresh(keys)
    assert keys.api_key == {"BearerToken": "Bearer third"}


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff"])
async def test_a_file_that_cannot_be_read_changes_nothing(tmp_path: Path, content: bytes | None) -> None:
    clock, keys, path = ManualClock(), Keys(), tmp_path / "token"
    file = TokenFile(path, monotonic=clock.monotonic)
    if content is not None:
        path.write_bytes(content)
    clock.advance(60)
    await file.refresh(keys)
    assert keys.api_key == {"BearerToken": "Bearer first"}


async def test_in_a_pod_it_is_the_mounted_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("mounted")
    (tmp_path / "ca.crt").write_text("any")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    clock = ManualClock()
    monkeypatch.setattr(connection_module, "time", clock)
    for module in (incluster_config, connection_module):
        monkeypatch.setattr(module, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    configuration = await load_configuration()
    assert await configuration.get_api_key_with_prefix("BearerToken") == "Bearer mounted"
    (tmp_path / "token").write_text("rotated")
    clock.advance(60)
    assert await configuration.get_api_key_with_prefix("BearerToken") == "Bearer rotated"


async def test_in_a_kubeconfig_it_may_be_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the kubeconfig: its path is relative to it."""
    clock = ManualClock()
    monkeypatch.setattr(connection_module, "time", clock)
    user, cluster = {"tokenFile": "token"}, {"server": "https://127.0.0.1:1"}
    config = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "other", "user": {"token": "fixed"}}, {"name": "own", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "own"}}],
        "current-context": "c",
    }
    (tmp_path / "token").write_text("mounted")
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    configuration = await load_configuration(str(tmp_path / "kubeconfig"))
    assert await configuration.get_api_key_with_prefix("BearerToken") == "Bearer mounted"
    (tmp_path / "token").write_text("rotated")
    clock.advance(60)
    assert await configuration.get_api_key_with_prefix("BearerToken") == "Bearer rotated"
