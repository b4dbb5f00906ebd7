"""Ports, and waiting for a server that may not come."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
from aiohttp import web

from workspace_authz.apps.demo.processes import DemoError, child
from workspace_authz.apps.demo.servers import choose_port, ready, url_of


def test_a_port_that_is_taken_is_refused_by_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(DemoError, match=f"Port {port} cannot be used; choose another one with --port"):
            choose_port(port)


def test_without_a_wish_there_is_always_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("workspace_authz.apps.demo.servers._USUAL_PORT", port)

        assert choose_port(None) not in (port, 0)


async def test_a_server_is_ready_when_its_guard_says_so(tmp_path: Path) -> None:
    statuses = [503, 200]

    async def readyz(request: web.Request) -> web.Response:
        return web.Response(status=statuses.pop(0))

    app = web.Application()
    app.router.add_get("/readyz", readyz)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    command = (sys.executable, "-c", "import time; time.sleep(3600)")
    try:
        async with child("MLflow", command, environment={}, log=tmp_path / "log") as process:
            await ready(process, url_of(port))
    finally:
        await runner.cleanup()

    assert statuses == []


async def test_a_server_that_ended_is_not_waited_for(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = url_of(unused.getsockname()[1])
        command = (sys.executable, "-c", "raise SystemExit('broken')")
        async with child("MLflow", command, environment={}, log=tmp_path / "log") as process:
            with pytest.raises(DemoError, match=r"(?s)MLflow ended with status 1.*broken"):
                await ready(process, url)
