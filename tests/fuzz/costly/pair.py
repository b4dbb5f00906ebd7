"""A guarded MLflow and stock MLflow with the same kind of store, and what an input costs each of them."""

from __future__ import annotations

import http.client
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.fuzz.costly.costs import SLOW_CLIENTS, Cost
from tests.fuzz.wire import Wire
from tests.harness.database import empty_database
from tests.harness.http import Http, bearer
from tests.harness.plane import EMBEDDED, User, devplane
from tests.harness.provider import model_provider
from tests.harness.server import MlflowServer, ServerOptions, starting, wait_until_ready
from tests.harness.usage import Usage, Worker, worker_below
from tests.scenarios.naming import OWN, Maker, grant_own_names
from tests.scenarios.people import TEAM_A
from tests.scenarios.recipes import RECIPES
from tests.scenarios.recipes.model import Call
from tests.scenarios.studio import Studio
from tests.scenarios.tracking_studio import ENVIRONMENT

BROAD, NAMED, NOBODY = "broad", "named", "nobody"
"""Callers: with rights on everything in the workspace, on objects by their names, and without a token."""

_ANSWER_SECONDS: Final = 120.0
_QUIET_SECONDS: Final = 0.15
_QUIET_CPU: Final = 0.02
_SETTLED_SECONDS: Final = 60.0
_PROBE_SECONDS: Final = 0.02


@dataclass(slots=True)
class Side:
    """One of the two servers."""

    server: MlflowServer
    worker: Worker
    tokens: Mapping[str, str | None] = field(repr=False)
    """By caller."""
    make: str | None = field(repr=False)
    """The token of who makes objects."""
    provider: str
    names: Iterator[int] = field(default_factory=itertools.count)
    _studio: Studio | None = None
    _http: Http = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._http = Http(self.server.url, timeout=_ANSWER_SECONDS)

    def call(self, operation: str) -> Call:
        """The operation on objects that are there; they are made again when an input has broken them."""
        if operation not in RECIPES:
            return Call()
        for _ in range(2):
            if self._studio is None:
                self._studio = Studio(
                    Maker(self.server, self.make, TEAM_A),
                    TEAM_A,
                    self.server.database,
                    self.provider,
                    lambda: f"{OWN}-{next(self.names)}",
                )
            try:
                return RECIPES[operation].make(self._studio)
            except AssertionError:
                self._studio = None
        return Call()

    def cost(self, wire: Wire, *, caller: str, probed: bool = False) -> Cost:
        """Send it and wait for the answer and the end of what it has begun."""
        self.worker.forget_peak()
        before = self.worker.usage()
        with _probe(self.server.url) if probed else _no_probe() as longest:
            status = self._status(wire, caller)
        after = self.settled() if status == 0 else self.worker.usage()
        return _difference(before, after, status=status, pause=longest())

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _status(self, wire: Wire, caller: str) -> int:
        try:
            return self._http.request(
                wire.method, wire.target, headers=self._headers(wire, caller), body=wire.content
            ).status
        except (OSError, http.client.HTTPException, ValueError):
            self._http.close()
            return 0

    def _headers(self, wire: Wire, caller: str) -> list[tuple[str, str]]:
        token = self.tokens[caller]
        return [*(bearer(token).items() if token else ()), *wire.headers]

    def slow_cost(self, wire: Wire, *, caller: str) -> Cost:
        """Send half of it on several connections, then nothing, then go away."""
        before = self.settled()
        self.worker.forget_peak()
        with ExitStack() as stack:
            for _ in range(SLOW_CLIENTS):
                stack.enter_context(self._half_sent(wire, caller))
            during = self.settled()
        self.settled()
        cost = _difference(before, during, status=0, pause=None)
        return Cost(
            status=0,
            cpu=cost.cpu,
            loop=cost.loop,
            peak=cost.peak,
            threads=max(0, during.threads - before.threads),
        )

    @contextmanager
    def _half_sent(self, wire: Wire, caller: str) -> Iterator[None]:
        address = urlsplit(self.server.url)
        content = wire.content or b""
        lines = [f"{wire.method} {wire.target} HTTP/1.1", f"Host: {address.netloc}"]
        lines += [f"{name}: {value}" for name, value in self._headers(wire, caller)]
        lines += [f"Content-Length: {max(2, len(content))}", "", ""]
        with closing(socket.create_connection((address.hostname, address.port), timeout=5)) as connection:
            with suppress(OSError):
                connection.sendall("\r\n".join(lines).encode("latin-1") + content[: len(content) // 2])
            yield

    def settled(self) -> Usage:
        """The usage once nothing runs any longer, or after a while."""
        end = time.monotonic() + _SETTLED_SECONDS
        while True:
            before = self.worker.usage()
            time.sleep(_QUIET_SECONDS)
            after = self.worker.usage()
            if after.cpu - before.cpu < _QUIET_CPU or time.monotonic() > end:
                return after


def _difference(before: Usage, after: Usage, *, status: int, pause: float | None) -> Cost:
    return Cost(
        status=status,
        cpu=after.cpu - before.cpu,
        loop=after.loop - before.loop,
        peak=max(0, after.peak - before.resident),
        pause=pause,
    )


@contextmanager
def _no_probe() -> Iterator[Callable[[], float | None]]:
    yield lambda: None


@contextmanager
def _probe(url: str) -> Iterator[Callable[[], float | None]]:
    """Ask for the server's health again and again; how long the slowest answer took."""
    waited: list[float] = []
    stop = threading.Event()

    def ask() -> None:
        with closing(Http(url, timeout=_ANSWER_SECONDS)) as connection:
            while not stop.wait(_PROBE_SECONDS):
                begun = time.monotonic()
                try:
                    connection.request("GET", "/health")
                except (OSError, http.client.HTTPException):
                    connection.close()
                waited.append(time.monotonic() - begun)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield lambda: max(waited, default=None)
    finally:
        stop.set()
        thread.join()


@dataclass(frozen=True, slots=True)
class Pair:
    """Both."""

    guarded: Side
    stock: Side


@contextmanager
def pair(directory: Path, environment: Mapping[str, str] | None = None) -> Iterator[Pair]:
    """Both servers, for as long as the block lasts."""
    fay, nan, root = User("fay"), User("nan"), User("root", groups=("system:masters",))
    directory.mkdir(parents=True, exist_ok=True)
    database = empty_database(directory)
    with ExitStack() as stack:
        plane = stack.enter_context(devplane(EMBEDDED, directory / "plane", users=(fay, nan, root)))
        plane.namespace(TEAM_A)
        plane.bind(TEAM_A, "admin", user=fay.name)
        grant_own_names(plane, TEAM_A, nan)
        plane.wait_for_access(fay.token, TEAM_A, verb="create", resource="gatewaybudgets")
        variables = {**ENVIRONMENT, **(environment or {})}
        guarded, stock = (
            stack.enter_context(
                starting(
                    directory / name,
                    ServerOptions(kubeconfig=kubeconfig, database=database, environment=variables),
                )
            )
            for name, kubeconfig in (("guarded", plane.server_kubeconfig), ("stock", None))
        )
        for server in (guarded, stock):
            wait_until_ready(server)
        made = stock.ask("POST", "/api/3.0/mlflow/workspaces", json_body={"name": TEAM_A})
        assert made.status in (200, 201), made.text
        provider = stack.enter_context(model_provider()).url
        callers = {BROAD: fay.token, NAMED: nan.token, NOBODY: None}
        sides = [
            Side(server, worker_below(server.process.process.pid), tokens, maker, provider)
            for server, tokens, maker in (
                (guarded, callers, root.token),
                (stock, dict.fromkeys(callers), None),
            )
        ]
        for side in sides:
            stack.callback(side.close)
        yield Pair(*sides)
