"""Fixtures of the workspaces' tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.kubernetes.informer_server import ApiServer
from workspace_authz.workspaces import directory


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look-up on a busy machine may take longer than a server waits for it."""
    for name in ("_LOOKUP_SECONDS", "_VERIFY_SECONDS"):
        monkeypatch.setattr(directory, name, 60.0)


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    server = ApiServer()
    await server.start()
    yield server
    await server.stop()
