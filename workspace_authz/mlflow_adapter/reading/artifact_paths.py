"""Paths below the artifact proxy: ``[workspaces/<own>/]<experiment id>[/…]`` and nothing else.

MLflow decodes a path again and again (``mlflow.utils.uri.validate_path_is_safe``, up to ten times, and its
artifact repositories once more), then puts ``workspaces/<workspace>/`` before it, but for the workspace
``default``, whose artifacts lie at the root beside everybody's. File systems then resolve ``.`` and ``//``.
So a path is decoded here until it stays the same, and must then be free of anything to resolve.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, unquote, urlparse, urlunparse

from workspace_authz.errors import BadRequestError, ForbiddenError
from workspace_authz.mlflow_adapter.reading.request import AccessRequest

_WORKSPACES: Final = "workspaces"
_ROUNDS: Final = 10
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f\\#]")
_EXPERIMENT_ID: Final = re.compile(r"[0-9]{1,19}")


def experiment_in(path: str, *, workspace: str | None) -> str:
    """The experiment id that an artifact path names.

    ``workspace`` is None on a server without workspaces. Raises :class:`BadRequestError` for a path that
    MLflow or a store might read otherwise than it is written, and :class:`ForbiddenError` for one that lies
    in another workspace or in no experiment.
    """
    segments = canonical(path).split("/")
    if segments[0] == _WORKSPACES:
        if len(segments) < 2 or segments[1] != workspace:
            raise ForbiddenError("This artifact path lies outside of the workspace of the request.")
        segments = segments[2:]
    if not segments or not _EXPERIMENT_ID.fullmatch(segments[0]):
        raise ForbiddenError("An artifact path must begin with the id of an experiment.")
    return segments[0]


def canonical(path: str) -> str:
    """The path as it is read in the end, without a final slash. Raises :class:`BadRequestError`."""
    decoded = _decoded(path)
    trimmed = decoded.removesuffix("/")
    if _UNSAFE.search(decoded) or any(segment in ("", ".", "..") for segment in trimmed.split("/")):
        raise _unclear()
    return trimmed


def listed_path(request: AccessRequest) -> str:
    """The one ``path`` of a list request.

    MLflow takes the first of several, and the body's if the query string is empty or the method is HEAD;
    without any it lists the root. Raises :class:`BadRequestError` unless exactly one is given.
    """
    query = request.query.decode("ascii", "replace")
    pairs = parse_qsl(query, keep_blank_values=True)
    paths = [value for key, value in pairs if key == "path"]
    if request.method != "GET" or len(paths) != 1:
        raise BadRequestError(
            "List artifacts with GET and one path that begins with the id of an experiment."
        )
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
            decoded = urlunparse(urlparse(unquote(path)))
            if decoded == path:
                return path
            path = decoded
    except ValueError:
        pass
    raise _unclear()


def _unclear() -> BadRequestError:
    return BadRequestError(
        "This artifact path is refused: it may hold no '.', '..' or empty segment, backslash, '#' or "
        "control character, however they are encoded."
    )
