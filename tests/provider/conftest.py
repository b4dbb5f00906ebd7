"""An API server to follow, and a kubeconfig that leads there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from tests.kubernetes.informer_server import TOKEN, ApiServer


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    server = ApiServer()
    await server.start()
    yield server
    await server.stop()


def write_kubeconfig(path: Path, **cluster: str) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": {"token": TOKEN}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
    path.write_text(yaml.safe_dump(config))


@pytest.fixture
def kubeconfig(server: ApiServer, tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    write_kubeconfig(path, server=f"http://127.0.0.1:{server.port}")
    return path


@pytest.fixture
def broken_kubeconfig(tmp_path: Path) -> Path:
    """One whose certificate authority is none."""
    path = tmp_path / "broken"
    write_kubeconfig(path, server="https://127.0.0.1:1", **{"certificate-authority-data": "bm9uc2Vuc2U="})
    return path
