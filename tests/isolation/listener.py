"""A server on loopback that writes down what it receives: a webhook's receiver, or a gateway's provider."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.harness.http_server import JsonHandler, serving

_ARRIVAL_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Received:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(slots=True)
class Listener:
    """What arrived at :attr:`url` so far."""

    url: str
    received: list[Received] = field(default_factory=list)

    def take(self) -> list[Received]:
        """What arrived since the last call."""
        taken, self.received = self.received, []
        return taken

    def wait_for(self, wanted: Callable[[Received], bool]) -> Received:
        """The first such request, once it has arrived. Raises ``AssertionError``."""
        deadline = time.monotonic() + _ARRIVAL_SECONDS
        while True:
            found = [one for one in self.received if wanted(one)]
            if found:
                return found[0]
            assert time.monotonic() < deadline, f"it never came, but {self.received} did"
            time.sleep(0.02)


@contextmanager
def listening(answer: Callable[[Received], object] = lambda _: {}) -> Iterator[Listener]:
    """A listener that answers what ``answer`` says, as JSON; an empty object unless given."""
    listener = Listener("")

    class Handler(JsonHandler):
        def _answer(self) -> None:
            body = self.read()
            headers = {name.lower(): value for name, value in self.headers.items()}
            received = Received(self.command, self.path, headers, body)
            listener.received.append(received)
            self.answer(answer(received))

        do_GET = do_POST = _answer  # noqa: N815 - the names that http.server looks for

    with serving(Handler) as listener.url:
        yield listener
