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
    """A pool of connections that hold nobody's credential."""

    async def post(self, path: str, document: Mapping[str, Any], *, token: str, timeout: float) -> HttpAnswer:
        """Send ``document`` as the owner of ``token``; ``timeout`` is in seconds. Redirects are not followed.

        Raises ``aiohttp.ClientError``, ``OSError``, ``TimeoutError`` or :class:`OversizedError`.
        """

    async def close(self) -> None:
        """Close every connection."""
