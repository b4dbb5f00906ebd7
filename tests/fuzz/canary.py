"""What must never come back, and how it gets into the objects of a workspace."""

from __future__ import annotations

import itertools
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.harness.http import Answer, Headers
from tests.scenarios.naming import Maker

_CONTENT: Final = frozenset({"v", "d", "content", "?", "!", "Say {{ what }}"})
"""What recipes write into objects."""


@dataclass(frozen=True, slots=True)
class Canary:
    """What must never come back. Contents are sent by nobody; names only by who knows them."""

    content: str = field(default_factory=lambda: f"canary{secrets.token_hex(6)}")
    name: str = field(default_factory=lambda: f"named{secrets.token_hex(6)}")
    number: float = field(default_factory=lambda: 4000 + secrets.randbelow(10**9) / 10**6)

    def names(self) -> Callable[[], str]:
        """Names of foreign objects, each of which tells which one it is."""
        numbers = itertools.count(10)
        return lambda: f"{self.name}x{secrets.token_hex(4)}x{next(numbers)}"

    def contents_in(self, text: str) -> set[str]:
        """What a text holds of the objects' contents."""
        return {one for one in (self.content, str(self.number)) if one in text}

    def named_in(self, text: str) -> set[str]:
        """The foreign objects that a text names."""
        return set(re.findall(f"{self.name}x[0-9a-f]+x[0-9]+", text))


@dataclass(frozen=True, slots=True)
class Planting:
    """Makes objects as :class:`Maker` does, with the canary as their content."""

    maker: Maker
    canary: Canary

    def __call__(
        self,
        method: str,
        path: str,
        *,
        json_body: object = None,
        body: bytes | None = None,
        headers: Headers = (),
    ) -> Answer:
        """See :class:`tests.scenarios.studio.Ask`."""
        if path == "/v1/traces" and body is not None:
            body = self._spans(body)
        elif body in (b"content", b'{"spans": []}'):
            body = json.dumps({"spans": [], "canary": self.canary.content}).encode()
        planted = self._planted(json_body)
        if path.endswith("/assessments") and isinstance(planted, dict):
            planted["assessment"]["rationale"] = self.canary.content
        return self.maker(method, path, json_body=planted, body=body, headers=headers)

    def _planted(self, document: Any) -> Any:
        if isinstance(document, dict):
            return {key: self._planted(value) for key, value in document.items()}
        if isinstance(document, list):
            return [self._planted(value) for value in document]
        if isinstance(document, str) and document.startswith('[{"inputs"'):
            return json.dumps(self._planted(json.loads(document)))
        if document in _CONTENT and isinstance(document, str):
            return self.canary.content
        return self.canary.number if document == 1.0 and isinstance(document, float) else document

    def _spans(self, body: bytes) -> bytes:
        export = ExportTraceServiceRequest()
        export.ParseFromString(body)
        export.resource_spans[0].scope_spans[0].spans[0].name = self.canary.content
        return bytes(export.SerializeToString())
