"""Where artifacts lie: one reading of artifact URIs and of paths below the artifact proxy.

MLflow serves ``mlflow-artifacts:`` URIs, and HTTP URLs of its own artifact routes, from the artifact
destination, whichever host they name (``handlers._get_proxied_run_artifact_destination_path``, 3.17.2). It
keeps the files of a workspace below ``workspaces/<workspace>/``, whether the path says so or not. The
workspace ``default`` is the exception: its files lie at the root, beside the folder ``workspaces``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from workspace_authz.catalog.model import skill_name
from workspace_authz.errors import BadRequestError, ForbiddenError
from workspace_authz.mlflow_adapter.reading.artifact_paths import canonical

SKILLS: Final = "skills"
"""The folder of a workspace in which MLflow keeps the content of skills
(``store.tracking.skill_registry.artifact_paths``, 3.18.0)."""
PROXIED: Final = "mlflow-artifacts"
"""The scheme of what the server keeps for its clients."""

WORKSPACES: Final = "workspaces"
"""The folder of the artifact destination that has one folder for each workspace."""
HTTP: Final = ("http", "https")
_ANCHOR: Final = "/api/2.0/mlflow-artifacts/artifacts/"
_SCHEME: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):")
_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f\\%]")
_SLOW: Final = re.compile(r"[\x00-\x1f]|//[^/?#]*?[^\x00-\x7f/?#]")
"""``urlsplit`` normalizes a host that is not ASCII, in time that grows with the square of its length, and
removes control characters first. No store has such a host."""


@dataclass(frozen=True, slots=True)
class Place:
    """A file or folder in a store of artifacts."""

    scheme: str
    """In lower case. Empty for a local path; :data:`PROXIED` for what the server keeps for its clients."""
    authority: str
    """The bucket or host. Empty for what the server keeps for its clients."""
    segments: tuple[str, ...]
    """Decoded, and without the folder of the workspace."""

    def lies_in(self, outer: Place) -> bool:
        """Whether this is ``outer`` or something below it."""
        return (self.scheme, self.authority) == (outer.scheme, outer.authority) and self.segments[
            : len(outer.segments)
        ] == outer.segments

    @property
    def of_skills(self) -> bool:
        """Whether it lies where skills are kept, also for a file system that ignores case."""
        return self.scheme == PROXIED and _begins_with_skills(self.segments)

    @property
    def skill(self) -> str | None:
        """The name of the one skill whose content it holds; None for anything else, or for several skills."""
        match self.segments:
            case (folder, organization, name, *_) if folder == SKILLS and organization.startswith("@"):
                return skill_name(name, organization[1:])
            case (folder, name, *_) if folder == SKILLS and not name.startswith("@"):
                return name
            case _:
                return None


def lies_among_skills(path: str) -> bool:
    """Whether a path below the artifact proxy lies where skills are kept, in whatever workspace.

    False for a path that is refused because it could be read in two ways.
    """
    try:
        return _begins_with_skills(_split(path)[1])
    except BadRequestError:
        return False


def _begins_with_skills(segments: Sequence[str]) -> bool:
    return bool(segments) and segments[0].lower() == SKILLS


def _split(path: str) -> tuple[str | None, Sequence[str]]:
    """The workspace that a path below the proxy names, and the rest of the path.

    The workspace is None where the path names none, and empty where it ends before one. Raises
    :class:`BadRequestError`.
    """
    segments = canonical(path).split("/")
    if segments[0] != WORKSPACES:
        return None, segments
    return "".join(segments[1:2]), segments[2:]


def scheme_of(uri: str) -> str:
    """As ``urllib.parse`` finds it, which MLflow uses; none where control characters could hide one."""
    found = _SCHEME.match(uri)
    return found[1].lower() if found else ""


def place_at_path(path: str, *, workspace: str | None) -> Place:
    """What a path below the artifact proxy names.

    ``workspace`` is None on a server without workspaces. Raises :class:`BadRequestError` for a path that
    MLflow or a store might read otherwise than it is written, and :class:`ForbiddenError` for one that lies
    in another workspace.
    """
    named, segments = _split(path)
    if named is not None and named != (workspace or None):
        raise ForbiddenError("This artifact path lies outside of the workspace of the request.")
    return Place(PROXIED, "", tuple(segments))


def place_of(uri: str, *, workspace: str | None) -> Place:
    """What an artifact URI, or a local path, names. Raises as :func:`place_at_path`."""
    scheme = scheme_of(uri)
    if _SLOW.search(uri):
        raise _unclear()
    try:
        split = urlsplit(uri)
    except ValueError:
        raise _unclear() from None
    if split.query or split.fragment:
        raise _unclear()
    if scheme == PROXIED or (scheme in HTTP and _ANCHOR in split.path):
        path = split.path.removeprefix("/") if scheme == PROXIED else split.path.split(_ANCHOR, 1)[1]
        try:
            return place_at_path(path, workspace=workspace) if path else Place(PROXIED, "", ())
        except BadRequestError:
            raise _unclear() from None
    if _UNSAFE.search(unquote(uri)):
        raise _unclear()
    segments = unquote(split.path).split("/")
    trimmed = segments[segments[:1] == [""] : len(segments) - (segments[-1:] == [""])]
    if any(segment in ("", ".", "..") for segment in trimmed):
        raise _unclear()
    return Place("" if scheme == "file" else scheme, split.netloc, tuple(trimmed))


def spellings_of(place: Place, *, workspace: str) -> tuple[str, ...]:
    """How MLflow writes the place when it makes an experiment in ``workspace``."""
    path = "/".join(place.segments)
    if place.scheme == PROXIED:
        return f"{PROXIED}:/{path}", f"{PROXIED}:/{WORKSPACES}/{workspace}/{path}"
    if not place.scheme:
        return f"/{path}", f"file:///{path}"
    return f"{place.scheme}://{place.authority}/{path}", f"{place.scheme}:/{path}"


def _unclear() -> BadRequestError:
    return BadRequestError(
        "This source or location is refused: it may hold no '.', '..' or empty segment, blank, backslash, "
        "query or fragment."
    )
