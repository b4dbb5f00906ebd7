"""Objects of the Kubernetes API, read and written as one caller.

Nothing here uses the server's own rights: a write is the caller's, and so is the refusal.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import aiohttp

from workspace_authz.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    MisconfiguredError,
    MissingError,
    RequestError,
    ThrottledError,
    UnauthenticatedError,
    UnavailableError,
    UnreachableError,
)
from workspace_authz.kubernetes.answer_times import retry_after
from workspace_authz.kubernetes.connection import Connection
from workspace_authz.kubernetes.http import MAX_ANSWER_BYTES, OversizedError
from workspace_authz.kubernetes.listwatch_answers import JsonObject
from workspace_authz.kubernetes.own_credential import CredentialError, Impersonation
from workspace_authz.kubernetes.review_client import NO_ANSWER, REJECTED

_log = logging.getLogger(__name__)

_PAGE: Final = 500
_MOST_PAGES: Final = 40
_LONGEST_SENTENCE: Final = 2000
"""Characters of an API server's own words that are passed on."""
_UNKNOWN_OUTCOME: Final = (
    "The Kubernetes API server gives no usable answer at the moment, so this may be done or not. "
    "Try again: what is done already stays as it is."
)
_READS: Final = "GET"
_CANNOT_IMPERSONATE: Final = " cannot impersonate"
_MAY_NOT_ACT: Final = (
    "This server is set to act as you at the Kubernetes API, and its account may not: the verb impersonate "
    "is missing on your user, or on one of your groups. An administrator of the server gives it, or turns "
    "`impersonate_for_grants` off."
)


class Objects(Protocol):
    """The Kubernetes API, asked as one caller.

    ``path`` is that of an object or of a collection, with every part of it escaped. All methods raise

    - :class:`UnauthenticatedError` when the API server does not accept the caller's credential,
    - :class:`ForbiddenError` in its own words when the caller may not,
    - :class:`MissingError` when there is no such object,
    - :class:`ConflictError` when it exists already, or is not any more what was seen,
    - :class:`BadRequestError` when it is not valid,
    - :class:`UnavailableError` when there is no usable answer.
    """

    async def get(self, path: str) -> JsonObject:
        """The object."""

    async def list(self, path: str) -> Sequence[JsonObject]:
        """All objects of a collection. Also raises :class:`BadRequestError` where they are too many."""

    async def first(
        self, path: str, *, most: int, query: Mapping[str, str] | None = None
    ) -> tuple[Sequence[JsonObject], bool]:
        """The first objects that ``query`` selects, ``most`` of them, and whether there are more."""

    async def create(self, path: str, document: JsonObject) -> JsonObject:
        """Make an object, or ask for what a subresource answers. Returns the answer."""

    async def replace(self, path: str, document: JsonObject) -> JsonObject:
        """Put ``document`` in the place of the object with its ``resourceVersion``."""

    async def delete(self, path: str, *, seen: JsonObject) -> None:
        """Delete the object, if it is still as it was ``seen``: without a version, if it is the same one."""


@dataclass(frozen=True, slots=True)
class ApiObjects:
    """:class:`Objects` over ``connection``. ``timeout`` bounds each request, in seconds.

    On a connection for callers ``token`` is the caller's, and there must be one. On one with a credential of
    its own that is used, and ``token`` is None.
    """

    connection: Connection
    token: str | None = field(repr=False)
    timeout: float
    acting_as: Impersonation | None = None
    """As whom the connection's own credential acts."""

    async def get(self, path: str) -> JsonObject:
        """See :class:`Objects`."""
        return await self._ask("GET", path)

    async def list(self, path: str) -> Sequence[JsonObject]:
        """See :class:`Objects`."""
        found: list[JsonObject] = []
        query = {"limit": str(_PAGE)}
        for _ in range(_MOST_PAGES):
            items, following = await self._page(path, query=query)
            found += items
            if not following:
                return found
            query = {"limit": str(_PAGE), "continue": following}
        raise BadRequestError(f"There are more than {_PAGE * _MOST_PAGES} objects; use kubectl.")

    async def first(
        self, path: str, *, most: int, query: Mapping[str, str] | None = None
    ) -> tuple[Sequence[JsonObject], bool]:
        """See :class:`Objects`."""
        items, following = await self._page(path, query={**(query or {}), "limit": str(most)})
        return items[:most], bool(following) or len(items) > most

    async def create(self, path: str, document: JsonObject) -> JsonObject:
        """See :class:`Objects`."""
        return await self._ask("POST", path, document=document)

    async def replace(self, path: str, document: JsonObject) -> JsonObject:
        """See :class:`Objects`."""
        return await self._ask("PUT", path, document=document)

    async def delete(self, path: str, *, seen: JsonObject) -> None:
        """See :class:`Objects`."""
        metadata = seen["metadata"]
        conditions = {key: metadata[key] for key in ("uid", "resourceVersion") if key in metadata}
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": conditions}
        await self._ask("DELETE", path, document=options)

    async def _page(self, path: str, *, query: Mapping[str, str]) -> tuple[Sequence[JsonObject], str]:
        page = await self._ask("GET", path, query=query)
        items, metadata = page.get("items"), page.get("metadata")
        if not isinstance(items, list) or not isinstance(metadata, Mapping):
            raise UnavailableError(NO_ANSWER)
        return [item for item in items if isinstance(item, Mapping)], str(metadata.get("continue") or "")

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        document: JsonObject | None = None,
        query: Mapping[str, str] | None = None,
    ) -> JsonObject:
        bounds = aiohttp.ClientTimeout(total=self.timeout, sock_connect=self.timeout / 2)
        lost = NO_ANSWER if method == _READS else _UNKNOWN_OUTCOME
        try:
            async with self.connection.request(
                method,
                path,
                token=self.token,
                json=document,
                query=query,
                acting_as=self.acting_as,
                timeout=bounds,
            ) as response:
                answer = _object_of(await _content(response))
                if self.acting_as is not None and _may_not_act(response.status, answer):
                    raise MisconfiguredError(_MAY_NOT_ACT)
                if response.status in (200, 201, 202):
                    if answer is None:
                        raise UnavailableError(lost)
                    return answer
                raise _refusal(response, answer or {}, lost=lost, own=self.token is None)
        except CredentialError as error:
            raise UnavailableError(lost) from error
        except (aiohttp.ClientError, TimeoutError, OSError, OversizedError) as error:
            _log.warning("%s of an object failed: %s", method, type(error).__name__)
            raise UnreachableError(lost) from error


def _may_not_act(status: int, answer: JsonObject | None) -> bool:
    said = (answer or {}).get("message")
    return status == 403 and isinstance(said, str) and _CANNOT_IMPERSONATE in said


async def _content(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            raise OversizedError
    return bytes(content)


def _object_of(content: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _refusal(response: aiohttp.ClientResponse, answer: JsonObject, *, lost: str, own: bool) -> RequestError:
    """What the answer means for the caller. It was made for the caller, so its sentence is theirs."""
    status = response.status
    said = answer.get("message")
    sentence = " ".join(said.split())[:_LONGEST_SENTENCE] if isinstance(said, str) else ""
    match status:
        case 401:
            return UnavailableError(lost) if own else UnauthenticatedError(REJECTED)
        case 403:
            return ForbiddenError(sentence or "The Kubernetes API server does not allow this.")
        case 404:
            return MissingError(sentence or "There is no such object in Kubernetes.")
        case 409:
            return ConflictError(sentence or "Another object is in the way, or this one was changed.")
        case 400 | 413 | 422:
            return BadRequestError(sentence or "The Kubernetes API server takes this for invalid.")
        case 429:
            after = retry_after(response.headers.get("Retry-After"), response.headers.get("Date"))
            return ThrottledError(NO_ANSWER, status=status, after=after)
    _log.warning("an object was answered with HTTP %d", status)
    return UnavailableError(lost)
