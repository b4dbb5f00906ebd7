"""Paths below the artifact proxy, and below the provider of a gateway endpoint: read in one way, or refused.

MLflow decodes a path again and again (``mlflow.utils.uri.validate_path_is_safe``, up to ten times, and its
artifact repositories once more), then puts ``workspaces/<workspace>/`` before it, but for the workspace
``default``, whose artifacts lie at the root beside everybody's. File systems then resolve ``.`` and ``//``.
So a path is decoded here until it stays the same, and must then be free of anything to resolve.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, unquote, urlparse, urlunparse

from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.request import AccessRequest

_ROUNDS: Final = 10
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f\\#]")
_SLOW: Final = re.compile(r"[\x00-\x1f]|//")
"""Never in a path. Behind ``//`` ``urlparse`` normalizes a host, in quadratic time."""


def canonical(path: str) -> str:
    """The path as it is read in the end, without a final slash. Raises :class:`BadRequestError`."""
    decoded = _decoded(path)
    trimmed = decoded.removesuffix("/")
    if _UNSAFE.search(decoded) or any(segment in ("", ".", "..") for segment in trimmed.split("/")):
        raise _unclear()
    return trimmed


def check_upstream_path(path: str) -> None:
    """Check a path below a provider's base URL: a dot segment would leave it, with the provider's key.

    Raises :class:`BadRequestError`.
    """
    canonical(path)


def listed_path(request: AccessRequest) -> str:
    """The one ``path`` of a list request.

    MLflow takes the first of several, and the body's if the query string is empty or the method is HEAD;
    without any it lists the root. Raises :class:`BadRequestError` unless exactly one is given.
    """
    query = request.query.decode("ascii", "replace")
    pairs = parse_qsl(query, keep_blank_values=True)
    paths = [value for key, value in pairs if key == "path"]
    if request.method != "GET" or len(paths) != 1:
        raise BadRequestError("List artifacts with GET and one path, which lies in an experiment.")
    return paths[0]


def check_file_name(path: object) -> None:
    """Check the last segment of a path on the client's machine; a store appends it to the artifact path.

    Raises :class:`BadRequestError`.
    """
    name = path.rpartition("/")[2] if isinstance(path, str) else ""
    if name in ("", ".", "..") or _CONTROL.search(name):
        raise BadRequestError("The path of an upload must end in the name of a file.")


def _decoded(path: str) -> str:
    try:
        for _ in range(_ROUNDS):
            unquoted = unquote(path)
            if _SLOW.search(unquoted):
                break
            decoded = urlunparse(urlparse(unquoted))
            if decoded == path:
                return path
            path = decoded
    except ValueError:
        pass
    raise _unclear()


def _unclear() -> BadRequestError:
    return BadRequestError(
        "This path is refused: it may hold no '.', '..' or empty segment, backslash, '#' or "
        "control character, however they are encoded."
    )
