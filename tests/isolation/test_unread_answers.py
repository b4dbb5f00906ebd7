"""A client that does not read its answer costs no memory, on every MLflow (over HTTP; Linux)."""

from __future__ import annotations

import http.client
import secrets
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bench.servers import tree
from tests.harness.http import bearer
from tests.harness.server import WORKSPACE
from tests.isolation.test_model_sources import run
from tests.isolation.world import World
from tests.scenarios.people import TEAM_A

SIZE: Final = 32 * 2**20
"""Far more than the sockets hold: 4 MiB on the server's side (Linux), and what a client says on its own."""
_RECEIVED: Final = 256 * 1024


@contextmanager
def waiting(world: World, path: str) -> Iterator[http.client.HTTPResponse]:
    """An answer of which only the head was read."""
    connection = http.client.HTTPConnection(urlsplit(world.server.url).netloc, timeout=60)
    with closing(connection):
        connection.connect()
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVED)
        connection.request("GET", path, headers={**bearer(world.tokens[TEAM_A]), WORKSPACE: TEAM_A})
        yield connection.getresponse()


def read_of(world: World, name: str) -> int:
    """How much the server has read of a file, by who has read least of it: all where nobody has it open."""
    positions = [SIZE]
    for pid in tree(world.server.process.process.pid):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                if descriptor.readlink().name == name:
                    state = Path(f"/proc/{pid}/fdinfo/{descriptor.name}").read_text()
                    positions.append(int(state.split()[1]))
    return min(positions)


def test_an_answer_that_nobody_reads_stays_in_its_file(guarded: World) -> None:
    """Given a client that waits, then the server reads no further until that one does, and loses nothing."""
    experiment = guarded.experiment(TEAM_A, f"unread {secrets.token_hex(4)}")
    made, name = run(guarded, experiment), f"{secrets.token_hex(8)}.bin"
    content = secrets.token_bytes(SIZE)
    guarded.upload(TEAM_A, f"{experiment}/{made['run_id']}/artifacts/{name}", content)
    path = f"/get-artifact?run_uuid={made['run_id']}&path={name}"
    with waiting(guarded, path) as answer:
        assert (answer.status, answer.length) == (200, SIZE)
        # Who reads has it all by then, and so would a queue without a bound.
        assert guarded.ask("GET", path).body == content
        assert read_of(guarded, name) < SIZE // 2
        assert answer.read() == content
