"""Places outside of MLflow from which every workspace may register models: prefixes that the operator allows.

The server opens such a place with its own credentials. Some stores decode a path (``abfss``), others take it
as it is written (``s3``), so a source must lie below a prefix in both readings.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from workspace_authz.errors import BadRequestError, ConfigurationError, RequestError
from workspace_authz.mlflow_adapter.reading.places import Place, place_of, scheme_of

_CONTAINERS: Final = frozenset({"wasbs", "abfss", "r2", "b2"})
"""Schemes whose authority is ``<container>@<host>``."""
_DEFAULT_HOST: Final = frozenset({"dbfs", "hdfs", "viewfs"})
"""Schemes that may name no host."""
SCHEMES: Final = ("s3", "gs", "wasbs", "abfss", "dbfs", "hdfs", "viewfs", "r2", "b2")
"""Object stores and file systems of MLflow's own repositories (``artifact_repository_registry``, 3.17.2)."""


@dataclass(frozen=True, slots=True)
class SharedSources:
    """The prefixes below which a model version's source may lie, whoever's it is."""

    prefixes: tuple[Place, ...] = ()

    def hold(self, source: str) -> bool:
        """Whether ``source`` is one of the prefixes or lies below one."""
        if not self.prefixes:
            return False
        try:
            readings = _readings(source)
        except RequestError:
            return False
        return any(all(place.lies_in(prefix) for place in readings) for prefix in self.prefixes)

    def narrowed(self, listed: str | None) -> SharedSources:
        """The part that also lies below one of the ``listed`` prefixes, separated by commas.

        None narrows nothing. What cannot be a prefix allows nothing.
        """
        if listed is None or not self.prefixes:
            return self
        wanted = [place for text in _split(listed) if (place := _prefix_or_none(text)) is not None]
        inner = (
            (ours if ours.lies_in(theirs) else theirs)
            for theirs in wanted
            for ours in self.prefixes
            if ours.lies_in(theirs) or theirs.lies_in(ours)
        )
        return SharedSources(tuple(dict.fromkeys(inner)))

    def __str__(self) -> str:
        return ", ".join(map(_written, self.prefixes))


def shared_sources(listed: str | None) -> SharedSources:
    """The setting ``model_sources``. Raises :class:`ConfigurationError` for what can be no prefix."""
    prefixes = []
    for text in _split(listed or ""):
        try:
            prefixes.append(_prefix(text))
        except RequestError as error:
            raise ConfigurationError(
                f"WORKSPACE_AUTHZ_MODEL_SOURCES: {text} can be no prefix of model sources. Write "
                f"scheme://bucket/folder, with one of the schemes {', '.join(SCHEMES)}, and without user "
                "names, dot or empty segments, percent signs, query and fragment."
            ) from error
    return SharedSources(tuple(prefixes))


def refuse_overlap(sources: SharedSources, *, roots: Iterable[str | None]) -> None:
    """Check that no prefix reaches into one of the ``roots``, where the artifacts of all workspaces lie.

    Raises :class:`ConfigurationError`.
    """
    for root in roots:
        for prefix in sources.prefixes:
            if root and _may_overlap(prefix, root):
                raise ConfigurationError(
                    f"WORKSPACE_AUTHZ_MODEL_SOURCES: {_written(prefix)} overlaps {root}, where MLflow keeps "
                    "the artifacts of all workspaces, so each could read those of the others. Choose another "
                    "prefix."
                )


def _may_overlap(prefix: Place, root: str) -> bool:
    if _family(scheme_of(root)) != _family(prefix.scheme):
        return False
    try:
        stored = place_of(root, workspace=None)
    except RequestError:
        return True  # it cannot be known
    ours, theirs = (Place("", _store(place), place.segments) for place in (prefix, stored))
    return ours.lies_in(theirs) or theirs.lies_in(ours)


def _family(scheme: str) -> str:
    """Schemes by which one store can be reached."""
    families = {"abfss": "azure", "wasbs": "azure", "viewfs": "hdfs", "r2": "s3", "b2": "s3"}
    return families.get(scheme, scheme)


def _store(place: Place) -> str:
    """Equal for all names of one store: Azure's two hosts, S3's endpoints, a file system's default host."""
    container, _, host = place.authority.lower().partition("@")
    match _family(place.scheme):
        case "azure":
            return f"{container}@{host.partition('.')[0]}"
        case "hdfs" | "dbfs":
            return ""
        case _:
            return container


def _split(listed: str) -> Iterable[str]:
    return filter(None, map(str.strip, listed.split(",")))


def _prefix_or_none(text: str) -> Place | None:
    try:
        return _prefix(text)
    except RequestError:
        return None


def _prefix(text: str) -> Place:
    decoded, literal = _readings(text)
    if decoded != literal:
        raise BadRequestError("A prefix must have one reading only.")
    return decoded


def _readings(uri: str) -> tuple[Place, Place]:
    """The place that ``uri`` names, decoded and as it is written. Raises :class:`RequestError`."""
    decoded = place_of(uri, workspace=None)
    path = urlsplit(uri).path
    if decoded.scheme not in SCHEMES or "?" in uri or "#" in uri or (path and not path.startswith("/")):
        raise BadRequestError("This is no place in an object store.")
    if not _is_authority(decoded.scheme, decoded.authority):
        raise BadRequestError("The host or bucket of this place is missing, or has a user name.")
    written = path.strip("/")
    return decoded, Place(decoded.scheme, decoded.authority, tuple(written.split("/") if written else ()))


def _is_authority(scheme: str, authority: str) -> bool:
    if scheme in _CONTAINERS:
        container, at, host = authority.partition("@")
        return bool(container and at and host) and ":" not in container and "@" not in host
    return "@" not in authority and (bool(authority) or scheme in _DEFAULT_HOST)


def _written(place: Place) -> str:
    return f"{place.scheme}://{place.authority}/{'/'.join(place.segments)}"
