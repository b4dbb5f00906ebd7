"""A model provider for MLflow's AI gateway: answers like OpenAI and remembers what it was sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.harness.http_server import JsonHandler, serving

_MESSAGE = {"role": "assistant", "content": "hello"}
_ANSWER: dict[str, Any] = {
    "id": "answer",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "message": _MESSAGE, "finish_reason": "stop"}],
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
    "output": [{"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": []}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
"""A chat completion, a list of embeddings and a response in one."""


@dataclass(slots=True)
class Provider:
    """A provider that runs."""

    url: str
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Path and headers (names in lower case) of every request."""


@contextmanager
def model_provider() -> Iterator[Provider]:
    """A provider on loopback for as long as the block lasts."""

    class Handler(JsonHandler):
        def do_POST(self) -> None:  # noqa: N802 - the name that http.server looks for
            self.read()
            headers = {name.lower(): value for name, value in self.headers.items()}
            provider.calls.append((self.path, headers))
            self.answer(_ANSWER)

        def do_GET(self) -> None:  # noqa: N802 - the name that http.server looks for
            self.do_POST()

    provider = Provider("")
    with serving(Handler) as url:
        provider.url = f"{url}/v1"
        yield provider
