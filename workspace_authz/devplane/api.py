"""A small client of a dev plane's API, for starting, filling and testing it.

It knows no kinds and keeps no state, so that it serves either engine and answers exactly what the API said.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

_CONNECTIONS = 64
_TIMEOUT_SECONDS = 30.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and decoded JSON body; text that is no JSON is under ``message``."""

    status: int
    body: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        """Whether the API did what was asked."""
        return self.status < 300

    @property
    def reason(self) -> str:
        """The machine-readable reason of a ``Status`` object, else empty."""
        return str(self.body.get("reason", ""))


class ApiError(Exception):
    """The API refused something that the dev plane needs done."""

    def __init__(self, what: str, answer: Answer) -> None:
        super().__init__(f"{what}: {answer.status} {answer.body.get('message', '')}")
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Api:
    """One API server, asked with one token unless a call brings its own."""

    url: str
    session: aiohttp.ClientSession
    headers: Mapping[str, str] = field(repr=False)

    def with_token(self, token: str | None) -> Api:
        """The same server asked with another token, or with none."""
        return Api(url=self.url, session=self.session, headers=_headers(token))

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        content_type: str = "application/json",
    ) -> Answer:
        """Send one request. Raises ``aiohttp.ClientError`` or ``TimeoutError`` when there is no answer."""
        headers = dict(self.headers)
        if body is not None:
            headers["Content-Type"] = content_type
        async with self.session.request(method, self.url + path, json=body, headers=headers) as response:
            if response.content_type == "application/json":
                return Answer(response.status, await response.json())
            return Answer(response.status, {"message": (await response.text()).strip()})

    async def get(self, path: str) -> Answer:
        """GET ``path``."""
        return await self.request("GET", path)

    async def post(self, path: str, body: object) -> Answer:
        """POST ``body`` to ``path``."""
        return await self.request("POST", path, body=body)


@asynccontextmanager
async def connect(url: str, *, ca_file: Path, token: str | None = None) -> AsyncIterator[Api]:
    """A client of the API at ``url``, for as long as the context lasts."""
    context = ssl.create_default_context(cafile=str(ca_file))
    connector = aiohttp.TCPConnector(ssl=context, limit=_CONNECTIONS)
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield Api(url=url, session=session, headers=_headers(token))


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again until the answer is yes. Nobody tells us, so it must be polled."""
    while True:
        if await condition():
            return
        await asyncio.sleep(_POLL_SECONDS)


def _headers(token: str | None) -> Mapping[str, str]:
    accept = {"Accept": "application/json"}
    return accept if token is None else {**accept, "Authorization": f"Bearer {token}"}
