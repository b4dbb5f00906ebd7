"""A request in MLflow's own reading: the fields that it found, some of them changed, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from workspace_authz.catalog.model import Route
from workspace_authz.errors import BadRequestError, UndeliveredBodyError
from workspace_authz.mlflow_adapter.reading.documents import parse
from workspace_authz.mlflow_adapter.reading.reader import Reading, walk
from workspace_authz.mlflow_adapter.reading.request import AccessRequest

Fields = Mapping[str, Any]
Headers = Iterable[tuple[bytes, bytes]]

_ABOUT_THE_BODY: Final = frozenset({b"content-length", b"content-encoding", b"transfer-encoding"})


@dataclass(frozen=True, slots=True)
class RequestReplacement:
    """A body, and maybe a query string, in place of the caller's."""

    content: bytes
    content_type: bytes | None = None
    """None: as the caller said."""
    query: bytes | None = None
    """None: as the caller said."""

    def headers(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """``headers`` as they are right for this body."""
        dropped = _ABOUT_THE_BODY | ({b"content-type"} if self.content_type is not None else set())
        kept = [(name, value) for name, value in headers if name.replace(b"_", b"-") not in dropped]
        kept.append((b"content-length", str(len(self.content)).encode()))
        if self.content_type is not None:
            kept.append((b"content-type", self.content_type))
        return kept


async def changes_nothing(
    replacement: RequestReplacement, request: AccessRequest, *, route: Route, reading: Reading
) -> bool:
    """Whether MLflow finds the same in ``request`` as in its replacement, so that either may be sent.

    The documents must be equal, and what MLflow's own parser makes of them: it may stop in the middle of one.
    Another query string always counts as a change.
    """
    try:
        body = await request.body.read()
        if body is None or replacement.query is not None or replacement.content_type is not None:
            return False
        sent, written = parse(body), parse(replacement.content)
        if sent.doubled or not sent.readable or sent.value != written.value:
            return False
        read = partial(reading.message, route, method=request.method, query=request.query)
        headers = replacement.headers(request.headers)
        return await read(headers=request.headers, body=body) == await read(
            headers=headers, body=replacement.content
        )
    except (BadRequestError, UndeliveredBodyError):
        return False


def without_body(headers: Headers) -> list[tuple[bytes, bytes]]:
    """``headers`` as they are right for a request without a body."""
    return [(name, value) for name, value in headers if name.replace(b"_", b"-") not in _ABOUT_THE_BODY]


def as_request(method: str, fields: Fields) -> RequestReplacement:
    """The request of ``method`` in which MLflow's handler finds ``fields``.

    Raises :class:`BadRequestError` where a query string cannot hold them.
    """
    if method != "GET":
        return RequestReplacement(json.dumps(fields).encode(), query=b"")
    if any(isinstance(value, Mapping) for value in _values(fields)):
        raise BadRequestError("This request is refused: its fields do not fit into a query string.")
    return RequestReplacement(b"", query=urlencode(fields, doseq=True).encode("ascii"))


def keeping(fields: Fields, path: str, *, allowed: Collection[str]) -> dict[str, Any]:
    """``fields`` without those elements of the list in ``path`` that lead to something not ``allowed``.

    ``path`` starts with the list: ``locations[].mlflow_experiment.experiment_id``.
    """
    name, _, further = path.partition("[]")
    inner = [step for step in further.split(".") if step]
    elements = [
        element for element in fields[name] if all(value in allowed for value in walk(element, inner))
    ]
    return {**fields, name: elements}


def _values(fields: Fields) -> list[Any]:
    found = []
    for value in fields.values():
        found.extend(value if isinstance(value, list) else [value])
    return found
