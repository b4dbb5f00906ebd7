"""The requests of which an informer is made, and the one that fetches a single object.

The protocol is that of https://kubernetes.io/docs/reference/using-api/api-concepts/ (lists in pages,
watches with bookmarks, ``410 Gone`` when a resource version is too old).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeAlias

import aiohttp
from aiohttp.http_exceptions import LineTooLong

from workspace_authz.kubernetes.connection import Connection, describe_failure
from workspace_authz.kubernetes.listwatch_answers import (
    Event,
    JsonObject,
    Page,
    RetryableError,
    SelectorError,
    SilentError,
    demand_ok,
    parse_event,
    parse_object,
    parse_page,
)
from workspace_authz.kubernetes.own_credential import CredentialError

Query: TypeAlias = Mapping[str, str]

CONNECT_SECONDS: Final = 5.0
_UNBOUNDED: Final = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
_TRANSPORT_ERRORS: Final = (aiohttp.ClientError, TimeoutError, OSError, CredentialError)


async def get_object(connection: Connection, path: str, *, timeout: float) -> JsonObject | None:
    """Fetch one object; None when there is none. Raises :class:`ListWatchError`."""
    try:
        async with asyncio.timeout(timeout), _get(connection, path, query={}) as response:
            if response.status == 404:
                return None
            demand_ok(response.status)
            return parse_object(await response.read())
    except _TRANSPORT_ERRORS as error:
        raise RetryableError(describe_failure(error)) from error


async def get_page(connection: Connection, path: str, *, query: Query, timeout: float) -> Page:
    """Fetch one page of a list. Raises :class:`ListWatchError`."""
    try:
        async with asyncio.timeout(timeout), _get(connection, path, query=query) as response:
            # The first page of a list names no resource version, so nothing else can be wrong with it.
            if response.status == 400 and "labelSelector" in query and "continue" not in query:
                raise SelectorError(
                    f"the API server does not accept the label selector {query['labelSelector']!r}"
                )
            demand_ok(response.status)
            return parse_page(await response.read())
    except _TRANSPORT_ERRORS as error:
        raise RetryableError(describe_failure(error)) from error


async def watch(
    connection: Connection,
    path: str,
    *,
    query: Query,
    silence: float,
    on_open: Callable[[], None],
    on_event: Callable[[Event], None],
) -> None:
    """Follow one watch until the API server ends it.

    ``silence``: seconds without an event after which the watch counts as dead.
    Raises :class:`ListWatchError`.
    """
    loop = asyncio.get_running_loop()
    opened = False
    try:
        async with asyncio.timeout(min(silence, 3 * CONNECT_SECONDS)) as deadline:
            async with _get(connection, path, query={**query, "watch": "true"}) as response:
                demand_ok(response.status)
                opened = True
                on_open()
                deadline.reschedule(loop.time() + silence)
                while line := await _line(response.content):
                    event = parse_event(line)
                    deadline.reschedule(loop.time() + silence)
                    on_event(event)
    except _TRANSPORT_ERRORS as error:
        if opened and isinstance(error, TimeoutError) and deadline.expired():
            raise SilentError(f"the watch was silent for {silence:g} s") from error
        raise RetryableError(describe_failure(error)) from error


async def _line(content: aiohttp.StreamReader) -> bytes:
    try:
        return await content.readline()
    except (LineTooLong, ValueError) as error:
        # More than the connection's buffer; which of the two depends on aiohttp's version.
        raise RetryableError("the watch sent a line that is too long") from error


def _get(
    connection: Connection, path: str, *, query: Query
) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
    return connection.request("GET", path, query=query, timeout=_UNBOUNDED)
