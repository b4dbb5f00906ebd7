"""An API server that stops answering is noticed although nobody asks it anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from workspace_authz.kubernetes.api_probe import NOT_REVIEWED, ApiServerProbe
from workspace_authz.kubernetes.configuration import ApiConfiguration
from workspace_authz.kubernetes.connection import server_connection


class Clock:
    """Sleeps no longer than it takes to write it down; a test lets it go on."""

    def __init__(self) -> None:
        self.slept: asyncio.Queue[float] = asyncio.Queue()
        self.go_on = asyncio.Semaphore(0)

    def monotonic(self) -> float:
        return 0.0

    def time(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept.put_nowait(seconds)
        await self.go_on.acquire()


class ApiServer:
    """Answers reviews as it is told."""

    def __init__(self) -> None:
        self.answer: Callable[[], Awaitable[web.Response]] = self.well

    async def well(self) -> web.Response:
        return web.json_response({"status": {"allowed": False}}, status=201)

    async def hanging(self) -> web.Response:
        await asyncio.sleep(3600)
        raise AssertionError

    def status(self, number: int) -> None:
        async def answer() -> web.Response:
            return web.Response(status=number)

        self.answer = answer

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        assert request.path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        return await self.answer()


@pytest.fixture
def api() -> ApiServer:
    return ApiServer()


@pytest.fixture
async def api_probe(api: ApiServer) -> AsyncIterator[ApiServerProbe]:
    runner = web.ServerRunner(web.Server(api), shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    connection = server_connection(ApiConfiguration(host=f"http://127.0.0.1:{runner.addresses[0][1]}"))
    yield ApiServerProbe(connection, clock=Clock(), timeout=0.2)
    await connection.close()
    await runner.cleanup()


@pytest.mark.parametrize("status", [200, 201, 401, 429])
async def test_whoever_answers_is_there(api_probe: ApiServerProbe, api: ApiServer, status: int) -> None:
    api.status(status)
    for _ in range(3):
        await api_probe.beat()
    assert api_probe.problem is None


async def test_one_that_hangs_is_noticed_by_the_second_question_and_forgiven_by_an_answer(
    api_probe: ApiServerProbe, api: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    api.answer = api.hanging
    await api_probe.beat()
    assert api_probe.problem is None
    await api_probe.beat()
    assert (
        api_probe.problem
        == "The Kubernetes API server does not answer: the API server did not answer in time."
    )
    api.answer = api.well
    for _ in range(2):
        await api_probe.beat()
    assert api_probe.problem is None
    assert [(line.levelname, line.getMessage()) for line in caplog.records] == [
        ("WARNING", "The Kubernetes API server does not answer: the API server did not answer in time."),
        ("WARNING", "The Kubernetes API server answers again."),
    ]
    api.status(503)
    await api_probe.beat()
    assert api_probe.problem is None  # failures are counted in a row
    await api_probe.beat()
    assert api_probe.problem == "The Kubernetes API server does not answer: HTTP 503."


@pytest.mark.parametrize("status", [403, 404])
async def test_a_cluster_without_reviews_authorizes_nobody(
    api_probe: ApiServerProbe, api: ApiServer, status: int
) -> None:
    api.status(status)
    for _ in range(2):
        await api_probe.beat()
    assert api_probe.problem == NOT_REVIEWED


async def test_after_a_failure_it_asks_again_sooner(api_probe: ApiServerProbe, api: ApiServer) -> None:
    clock = api_probe._clock
    assert isinstance(clock, Clock)
    running = asyncio.create_task(api_probe.run())
    slept = [await clock.slept.get()]
    api.status(500)
    clock.go_on.release()
    slept.append(await clock.slept.get())
    running.cancel()
    assert slept == [5.0, 1.0]
