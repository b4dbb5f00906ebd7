"""``python -m bench.delay HOST PORT MILLISECONDS FILE``: a proxy that delays the API server's answers.

Forwards bytes in both directions, those of the answers with a delay, so TLS and HTTP stay end to end. Prints
its port, and writes the number of accepted connections to FILE.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
from collections import deque
from pathlib import Path


class Near(asyncio.Protocol):
    """The client's end."""

    def __init__(self, host: str, port: int, seconds: float) -> None:
        self._far = (host, port)
        self._seconds = seconds
        self._buffered: list[bytes] = []
        self.transport: asyncio.Transport | None = None
        self.other: Far | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect on."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("not a stream")
        self.transport = transport
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        _, self.other = await loop.create_connection(lambda: Far(self, self._seconds), *self._far)
        for data in self._buffered:
            self.other.write(data)

    def data_received(self, data: bytes) -> None:
        """Pass on at once."""
        if self.other is None:
            self._buffered.append(data)
        else:
            self.other.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Hang up."""
        if self.other is not None:
            self.other.close()


class Far(asyncio.Protocol):
    """The server's end."""

    def __init__(self, near: Near, seconds: float) -> None:
        self._near = near
        self._seconds = seconds
        self._waiting: deque[bytes] = deque()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Pass on later, in order."""
        self._waiting.append(data)
        asyncio.get_running_loop().call_later(self._seconds, self._pass_on)

    def _pass_on(self) -> None:
        data = self._waiting.popleft()
        if self._near.transport is not None:
            self._near.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Hang up."""
        if self._near.transport is not None:
            self._near.transport.close()

    def write(self, data: bytes) -> None:
        """To the server."""
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """Hang up on the server."""
        if self._transport is not None:
            self._transport.close()


async def serve(host: str, port: int, seconds: float, counted: Path) -> None:
    """Until killed."""
    taken = 0

    def near() -> Near:
        nonlocal taken
        taken += 1
        counted.write_text(str(taken))
        return Near(host, port, seconds)

    server = await asyncio.get_running_loop().create_server(near, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    Path(sys.argv[4]).write_text("0")
    # select() takes microseconds; epoll, asyncio's own choice, takes whole milliseconds, rounded up.
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]) / 1000, Path(sys.argv[4])))
