"""Questions to MLflow's REST API, with this server's own credential: bounded in time, number and size."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import aiohttp
from yarl import URL

from workspace_authz.errors import UnavailableError

SECONDS: Final = 4.0
"""How long MLflow may take for one answer."""
CONNECTIONS: Final = 16
"""Questions at the same time. More wait."""
LARGEST_ANSWER: Final = 8 * 2**20
"""Bytes."""
NO_ANSWER: Final = "MLflow gave no answer to a look-up, so there is no decision; try again."

_WORKSPACE: Final = "X-MLFLOW-WORKSPACE"
_NOTHING: Final[Mapping[int, str]] = MappingProxyType(
    {404: "RESOURCE_DOES_NOT_EXIST", 400: "INVALID_PARAMETER_VALUE"}
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MlflowAddress:
    """Where MLflow answers without the proxy in between."""

    url: str
    """With the static prefix, without a slash at its end."""
    token_file: str | None = None
    """Holds a bearer token of this server's; read for each question, so that it may be replaced."""


@dataclass(frozen=True, slots=True)
class MlflowAnswer:
    """A complete answer."""

    status: int
    content: bytes

    @property
    def nothing(self) -> bool:
        """Whether MLflow says that there is no such object, or that none can have such an id."""
        if self.status not in _NOTHING:
            return False
        try:
            document = json.loads(self.content)
        except (ValueError, RecursionError):
            return False
        return isinstance(document, dict) and document.get("error_code") == _NOTHING[self.status]

    def document(self) -> dict[str, Any]:
        """The JSON object of a good answer. Raises :class:`UnavailableError` for anything else."""
        try:
            document = json.loads(self.content) if self.status == 200 else None
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            _log.warning("MLflow answered a look-up with status %d", self.status)
            raise UnavailableError(NO_ANSWER)
        return document


class MlflowApi:
    """Asks one MLflow. Make it in the event loop that uses it, and :meth:`close` it."""

    def __init__(self, address: MlflowAddress) -> None:
        self._address = address
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=SECONDS),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        workspace: str | None = None,
    ) -> MlflowAnswer:
        """One answer of MLflow's. ``path`` is percent-encoded, below the static prefix.

        Raises :class:`UnavailableError` where there is none.
        """
        url = URL(self._address.url + path, encoded=True)
        headers = {} if workspace is None else {_WORKSPACE: workspace}
        try:
            if self._address.token_file is not None:
                token = await asyncio.to_thread(Path(self._address.token_file).read_text)
                headers["Authorization"] = f"Bearer {token.strip()}"
            async with (
                self._places,
                self._session.request(
                    method,
                    url.update_query(query) if query else url,
                    json=body,
                    headers=headers,
                    allow_redirects=False,
                ) as response,
            ):
                return MlflowAnswer(response.status, await _content(response))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            _log.warning("MLflow gave no answer to a look-up: %s", type(error).__name__)
            raise UnavailableError(NO_ANSWER) from None


async def _content(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for part in response.content.iter_chunked(2**16):
        content += part
        if len(content) > LARGEST_ANSWER:
            _log.warning("MLflow's answer to a look-up is larger than %d bytes", LARGEST_ANSWER)
            raise UnavailableError(NO_ANSWER)
    return bytes(content)
