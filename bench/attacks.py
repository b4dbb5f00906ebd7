"""``python -m bench.attacks URL NUMBER``: what a caller who means ill does to a server, until it is stopped.

Attacks run in a process of their own, so that their clients and those who are measured wait for each other in
the server only.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from bench.servers import Server
from bench.testbed import headers, post_to

_PARALLEL: Final = 4
"""Clients of an attack that takes time; each sends its next request when the last one is answered."""
_MARKS: Final = 64_000
_EMPTY_MESSAGES: Final = 15_000_000
_SLOW: Final = 45
"""More requests than MLflow has threads."""
_BEFORE_SECONDS: Final = 1.0
"""By then the attack has reached the server."""
LARGE_BYTES: Final = 300 * 2**20
_UNREAD: Final = 2
_CHUNK: Final = b"\0" * 2**20

ENVIRONMENT: Final = {
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
}
"""Lets a test's webhook call this machine."""

Repeated = Callable[[aiohttp.ClientSession], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Attack:
    """One kind of attack."""

    name: str
    clients: int
    prepare: Callable[[str], Repeated]
    """Makes what the attack needs; what it returns is one request of it."""


def _headers(**more: str) -> dict[str, str]:
    return {**next(headers()), **{name.replace("_", "-"): value for name, value in more.items()}}


def _new_run(url: str) -> tuple[str, str]:
    """The ids of a new experiment and of a run in it."""
    name = f"attack-{os.urandom(4).hex()}"
    made = post_to(url, "/api/2.0/mlflow/experiments/create", {"name": name})["experiment_id"]
    run = post_to(url, "/api/2.0/mlflow/runs/create", {"experiment_id": made})["run"]
    return made, run["info"]["run_id"]


def _marks(number: int) -> str:
    return "a" + "\u0301" * number + "\u0323" * number


def _sending(url: str, method: str, path: str, *, body: bytes | None, headers: Mapping[str, str]) -> Repeated:
    async def send(session: aiohttp.ClientSession) -> None:
        async with session.request(method, url + path, data=body, headers=headers) as response:
            await response.read()

    return send


def _ordinary(url: str) -> Repeated:
    made, _ = _new_run(url)
    path = f"/api/2.0/mlflow/experiments/get?experiment_id={made}"
    return _sending(url, "GET", path, body=None, headers=_headers())


def _marks_in_a_key(url: str) -> Repeated:
    _, run = _new_run(url)
    body = json.dumps({"run_id": run, "key": _marks(_MARKS // 4), "value": "x"}, ensure_ascii=False).encode()
    sent = _headers(content_type="application/json")
    return _sending(url, "POST", "/api/2.0/mlflow/runs/set-tag", body=body, headers=sent)


def _spans(content: bytes) -> Callable[[str], Repeated]:
    def prepare(url: str) -> Repeated:
        made, _ = _new_run(url)
        sent = _headers(
            content_type="application/x-protobuf", content_encoding="gzip", x_mlflow_experiment_id=made
        )
        return _sending(url, "POST", "/v1/traces", body=gzip.compress(content), headers=sent)

    return prepare


def _silent_webhook(url: str) -> Repeated:
    # The kernel takes the connections; nobody answers, and the socket lives as long as the request is sent.
    silent = socket.create_server(("127.0.0.1", 0), backlog=4096)
    hook = {
        "name": "silent",
        "url": f"http://127.0.0.1:{silent.getsockname()[1]}/",
        "events": [{"entity": "REGISTERED_MODEL", "action": "CREATED"}],
    }
    made = post_to(url, "/api/2.0/mlflow/webhooks", hook)["webhook"]["webhook_id"]
    send = _sending(
        url,
        "POST",
        f"/api/2.0/mlflow/webhooks/{made}/test",
        body=b"{}",
        headers=_headers(content_type="application/json"),
    )

    async def test(session: aiohttp.ClientSession) -> None:
        assert silent.fileno() >= 0
        await send(session)

    return test


def _supported_models(url: str) -> Repeated:
    path = "/ajax-api/3.0/mlflow/gateway/supported-models"
    return _sending(url, "GET", path, body=None, headers=_headers())


def _large_body(url: str) -> Repeated:
    """Of a public route, without a token."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(LARGE_BYTES // len(_CHUNK)):
            yield _CHUNK

    async def send(session: aiohttp.ClientSession) -> None:
        async with session.get(url + "/version", data=chunks()) as response:
            await response.read()

    return send


def _unread_answer(url: str) -> Repeated:
    """Ask for a large artifact and read nothing of it."""
    made, run = _new_run(url)
    artifact = f"{url}/api/2.0/mlflow-artifacts/artifacts/{made}/{run}/artifacts/large"

    async def upload(session: aiohttp.ClientSession) -> None:
        async with session.put(artifact, data=bytes(LARGE_BYTES), headers=_headers()) as response:
            response.raise_for_status()

    asyncio.run(_with_session(upload))
    address = urlsplit(url)
    lines = [
        f"GET /get-artifact?run_id={run}&path=large HTTP/1.1",
        f"Host: {address.netloc}",
        *(f"{name}: {value}" for name, value in _headers().items()),
    ]

    async def ask(session: aiohttp.ClientSession) -> None:
        _, writer = await asyncio.open_connection(address.hostname, address.port, limit=1)
        try:
            writer.write("\r\n".join([*lines, "", ""]).encode())
            await asyncio.sleep(3600)
        finally:
            writer.close()

    return ask


async def _with_session(send: Repeated) -> None:
    async with aiohttp.ClientSession() as session:
        await send(session)


ATTACKS: Final = (
    Attack(f"for comparison: {_PARALLEL} clients that get an experiment", _PARALLEL, _ordinary),
    Attack("64,000 combining marks as a tag's key", _PARALLEL, _marks_in_a_key),
    Attack("128,000 combining marks as spans, compressed", _PARALLEL, _spans(_marks(_MARKS).encode())),
    Attack(
        "15 million empty messages as spans, compressed", _PARALLEL, _spans(b"\x0a\x00" * _EMPTY_MESSAGES)
    ),
    Attack(f"{_SLOW} tests of a webhook that never answers", _SLOW, _silent_webhook),
    Attack(f"{_SLOW} times the list of supported models", _SLOW, _supported_models),
    Attack(f"bodies of {LARGE_BYTES >> 20} MiB on a public route, without a token", _UNREAD, _large_body),
    Attack(f"{_UNREAD} answers of {LARGE_BYTES >> 20} MiB that are not read", _UNREAD, _unread_answer),
)


@contextmanager
def under_way(attack: Attack, server: Server) -> Iterator[None]:
    """The attack goes on while the block runs, in another process.

    Raises ``RuntimeError`` when it does not begin, or ends early.
    """
    command = [sys.executable, "-m", "bench.attacks", server.url, str(ATTACKS.index(attack))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            if process.stdout is None or not process.stdout.readline():
                raise RuntimeError(f"the attack did not begin: {attack.name}")
            time.sleep(_BEFORE_SECONDS)
            yield
            if process.poll() is not None:
                raise RuntimeError(f"the attack ended: {attack.name}")
        finally:
            process.send_signal(signal.SIGKILL)


async def _attack(once: Repeated, *, clients: int) -> None:
    """Until the process is stopped. What the server answers does not matter."""

    async def client(session: aiohttp.ClientSession) -> None:
        while True:
            try:
                await once(session)
            except aiohttp.ClientError:
                await asyncio.sleep(0.01)

    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        print("begun", flush=True)
        await asyncio.gather(*(client(session) for _ in range(clients)))


if __name__ == "__main__":
    chosen = ATTACKS[int(sys.argv[2])]
    asyncio.run(_attack(chosen.prepare(sys.argv[1]), clients=chosen.clients))
