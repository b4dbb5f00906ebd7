"""Fixtures of the workspaces' tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.kubernetes.informer_server import ApiServer


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    server = ApiServer()
    await server.start()
    yield server
    await server.stop()
