"""Which files there are, and how large they are. Names are checked before they are used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from workspace_authz.client.fetch.address import is_segment
from workspace_authz.client.fetch.outcome import Exit, FetchError
from workspace_authz.client.fetch.resolving import ARTIFACTS, Source
from workspace_authz.client.fetch.server import TrackingServer

MOST_FILES: Final = 100_000
_DEEPEST: Final = 64


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file."""

    path: str
    """Below the directory that it is fetched into."""
    remote: str
    """Below MLflow's artifact proxy."""
    size: int | None
    """Its bytes, where the store knows."""


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    is_folder: bool
    size: int | None


def list_files(server: TrackingServer, source: Source) -> tuple[RemoteFile, ...]:
    """Every file of ``source``, sorted. A single file has its own name.

    Raises :class:`FetchError`, also where there is none.
    """
    remote = "/".join(filter(None, (source.root, source.path)))
    if source.path and (file := _single_file(server, remote)) is not None:
        return (file,)
    files: list[RemoteFile] = []
    for file in _below(server, remote, path=""):
        files.append(file)
        if len(files) > MOST_FILES:
            raise _hostile(f"it holds more than {MOST_FILES} files")
    if not files:
        raise FetchError(f"There are no files for {source.label}.", status=Exit.MISSING)
    return tuple(sorted(files, key=lambda file: file.path))


def _single_file(server: TrackingServer, remote: str) -> RemoteFile | None:
    """The file at ``remote``; None where it is a folder or nothing. Its parent says which."""
    parent, _, name = remote.rpartition("/")
    for entry in _entries(server, parent):
        if entry.name == name and not entry.is_folder:
            return RemoteFile(name, remote, entry.size)
    return None


def _below(server: TrackingServer, remote: str, *, path: str) -> Iterator[RemoteFile]:
    if path.count("/") > _DEEPEST:
        raise _hostile("its folders are too deep")
    for entry in _entries(server, remote):
        there, here = f"{remote}/{entry.name}", f"{path}{entry.name}"
        if entry.is_folder:
            yield from _below(server, there, path=f"{here}/")
        else:
            yield RemoteFile(here, there, entry.size)


def _entries(server: TrackingServer, remote: str) -> list[_Entry]:
    found = server.document(ARTIFACTS, path=remote).get("files", [])
    if not isinstance(found, list):
        raise _hostile("it is no list")
    entries = [_entry(each) for each in found]
    if len({entry.name for entry in entries}) < len(entries):
        raise _hostile("it names a file twice")
    return entries


def _entry(said: Any) -> _Entry:
    name = said.get("path") if isinstance(said, dict) else None
    if not isinstance(name, str) or not is_segment(name):
        raise _hostile(f"it names {str(name)[:80]!r}, which is no file's name")
    size = said.get("file_size")
    known = size is not None and not said.get("is_dir")
    try:
        return _Entry(name, bool(said.get("is_dir")), int(size) if known else None)
    except (TypeError, ValueError):
        raise _hostile(f"the size of {name!r} is no number") from None


def _hostile(why: str) -> FetchError:
    return FetchError(f"The server's list of files is refused: {why}.", status=Exit.UNVERIFIED)
