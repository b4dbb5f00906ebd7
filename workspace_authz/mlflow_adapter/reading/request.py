"""One request as the pipeline sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from workspace_authz.errors import UndeliveredBodyError
from workspace_authz.types import Caller

SPANS_BYTES: Final = 64 * 2**20
"""The largest OTLP export, also after decompression: exporters send many spans in one body."""
GRAPHQL_BYTES: Final = 4 * 2**20
"""The largest body with a GraphQL document. MLflow's UI sends some kilobytes."""


class Body(Protocol):
    """The body of a request. It is read only when something in it is needed."""

    @property
    def limit(self) -> int:
        """The usual bound, in bytes."""

    async def read(self, at_most: int | None = None) -> bytes | None:
        """All of it, or None when it is larger than the bound or the client went away.

        ``at_most`` replaces the usual bound, in bytes. Raises :class:`SlowClientError`, and
        :class:`UndeliveredBodyError` at a door that was not given it.
        """


@dataclass(frozen=True, slots=True)
class GivenBody:
    """A body that is in memory."""

    content: bytes = b""

    @property
    def limit(self) -> int:
        """See :class:`Body`."""
        return len(self.content)

    async def read(self, at_most: int | None = None) -> bytes | None:
        """See :class:`Body`. There is no bound: whoever made the body had one."""
        return self.content


@dataclass(frozen=True, slots=True)
class UndeliveredBody:
    """A body that MLflow will get and this process will not."""

    reason: str
    """Why, and what to do, in one sentence."""

    @property
    def limit(self) -> int:
        """See :class:`Body`."""
        return 0

    async def read(self, at_most: int | None = None) -> bytes | None:
        """See :class:`Body`. Raises :class:`UndeliveredBodyError`."""
        raise UndeliveredBodyError(
            f"This request can be decided on only with its body, which does not come here. {self.reason}"
        )


@dataclass(frozen=True, slots=True)
class UnhurriedBody:
    """A body whose sender may take their time: a deadline stands still while the body is awaited."""

    body: Body
    deadline: asyncio.Timeout

    @property
    def limit(self) -> int:
        """See :class:`Body`."""
        return self.body.limit

    async def read(self, at_most: int | None = None) -> bytes | None:
        """See :class:`Body`."""
        clock = asyncio.get_running_loop().time
        ends = self.deadline.when()
        left = None if ends is None else ends - clock()
        self.deadline.reschedule(None)
        try:
            return await self.body.read(at_most)
        finally:
            self.deadline.reschedule(None if left is None else clock() + left)


@dataclass(frozen=True, slots=True)
class SelfRequest:
    """What makes a request one of MLflow to itself, while it serves a gateway call."""

    caller: Caller
    """The caller whose gateway call MLflow serves. No credential is read from the request."""
    skips_guardrails: bool = False


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """The request that is judged. Every door makes one of these."""

    method: str
    path: str
    """The ASGI route path: decoded, below the root path, with the static prefix."""
    headers: Sequence[tuple[bytes, bytes]] = field(default=(), repr=False)
    """Names are in lower case."""
    query: bytes = field(default=b"", repr=False)
    body: Body = field(default_factory=GivenBody, repr=False)
    peer: str = ""
    """The client's address; empty where there is none."""
    dry: bool = False
    """MLflow will not be asked, and nothing may change."""
    by_mlflow: SelfRequest | None = None
    """Set for a request of MLflow to itself."""
    raw_path: bytes = b""
    """``path`` as it was sent, percent-encoded. Empty where a door does not know it: then no workspace is
    found in the URL."""

    def header(self, name: bytes) -> list[bytes]:
        """Every value of one header."""
        return [value for key, value in self.headers if key == name]
