"""Sending one JSON document and reading the answer: what reviews need of a pool of connections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from workspace_authz import __version__

USER_AGENT: Final = f"workspace-authz/{__version__}"
"""By which flow schemas and audit logs know us."""

MAX_ANSWER_BYTES: Final = 8 * 2**20


class OversizedError(Exception):
    """The answer is larger than any that makes sense."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An HTTP answer, whole."""

    status: int
    date: str | None
    retry_after: str | None
    body: bytes = field(repr=False)


class ReviewTransport(Protocol):
    """A pool of connections to the API server."""

    async def post(
        self, path: str, document: Mapping[str, Any], *, token: str | None, timeout: float
    ) -> HttpAnswer:
        """Send ``document``; ``timeout`` is in seconds. Redirects are not followed.

        A pool for callers sends it as the owner of ``token`` and raises ``ValueError`` where there is none.
        The server's own pool sends its own credential, whatever ``token`` is.
        Raises ``aiohttp.ClientError``, ``OSError``, ``TimeoutError`` or :class:`OversizedError`.
        """

    async def close(self) -> None:
        """Close every connection."""
