"""Servers that play an API server."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.kubernetes.informer_server import ApiServer
from tests.kubernetes.listener import Listener
from workspace_authz.devplane.pki import Pki, create_pki


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    server = ApiServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return create_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
async def listener(pki: Pki) -> AsyncIterator[Listener]:
    listener = Listener(pki)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pki.client_ca_cert))
    context.load_cert_chain(pki.serving_cert, pki.serving_key)
    context.verify_mode = ssl.CERT_OPTIONAL
    runner = web.ServerRunner(web.Server(listener.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    listener.port = runner.addresses[0][1]
    yield listener
    await runner.cleanup()
