"""Where files are until all of them are there: beside the directory, or hidden in it if it is a mount point.

A directory that is no mount point appears by one rename. One that is (KServe's ``/mnt/models``) cannot be
replaced, so the entries are renamed into it one after the other, and ``MANIFEST`` comes last: a directory
with a manifest is complete. What was fetched before an interruption is kept for the next attempt.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from workspace_authz.client.fetch.address import Address
from workspace_authz.client.fetch.listing import RemoteFile
from workspace_authz.client.fetch.outcome import Exit, FetchError
from workspace_authz.client.fetch.resolving import Source

MANIFEST: Final = ".workspace-authz-fetch.json"
"""In a complete directory: what it holds, and from where."""
STAGING: Final = ".workspace-authz-fetching"


@dataclass(frozen=True, slots=True)
class Staging:
    """The way of one source into one directory."""

    directory: Path
    """Where the files go in the end."""
    hidden: Path
    """Where they are until then."""
    replaces: bool
    """Whether one rename puts all of them in place."""

    @classmethod
    def beside(cls, directory: Path) -> Staging:
        """The staging directory for ``directory``, on the same file system."""
        directory = Path(os.path.abspath(directory))
        if not os.path.ismount(directory) and os.access(_existing(directory.parent), os.W_OK):
            return cls(directory, directory.parent / f"{STAGING}-{directory.name}", replaces=True)
        return cls(directory, directory / STAGING, replaces=False)

    @property
    def part(self) -> Path:
        """The file that is incomplete."""
        return self.hidden / "part"

    @property
    def part_notes(self) -> Path:
        """What is known about it."""
        return self.hidden / "part.json"

    @property
    def part_size(self) -> int:
        """How much of it is there."""
        return _size(self.part) or 0

    @property
    def _files(self) -> Path:
        return self.hidden / "files"

    @property
    def _record(self) -> Path:
        """The manifest of a publication that has begun."""
        return self.hidden / "manifest.json"

    def holds(self, source: Source, files: Sequence[RemoteFile]) -> bool:
        """Whether the directory is complete already."""
        manifest = _manifest(self.directory / MANIFEST)
        sizes = manifest.get("files", {})
        return (
            manifest.get("source") == source.identity
            and sizes.keys() == {file.path for file in files}
            and all(file.size in (None, sizes[file.path]) for file in files)
            and all(_size(self.directory / path) == size for path, size in sizes.items())
        )

    def open(self, source: Source, files: Sequence[RemoteFile]) -> None:
        """Get ready. What an earlier attempt left is kept if it is of the same source.

        Raises :class:`FetchError` where the directory cannot be used.
        """
        with local_errors(self.directory):
            self._refuse_others({file.path.partition("/")[0] for file in files})
            notes = self.hidden / "source"
            if not notes.exists() or notes.read_text(encoding="utf-8") != source.identity:
                shutil.rmtree(self.hidden, ignore_errors=True)
                self._files.mkdir(parents=True)
                notes.write_text(source.identity, encoding="utf-8")
            wanted = {file.path for file in files}
            for found in _paths_below(self._files):
                if found not in wanted:
                    (self._files / found).unlink()
            needed = sum(file.size or 0 for file in files if not self.has(file)) - self.part_size
            free = shutil.disk_usage(self.hidden).free
        if needed > free:
            raise FetchError(
                f"{self.directory} has too little space: {needed} bytes more are needed, {free} are free.",
                status=Exit.DIRECTORY,
            )

    def has(self, file: RemoteFile) -> bool:
        """Whether ``file`` is complete here."""
        size = _size(self._files / file.path)
        return size is not None and file.size in (None, size)

    def keep_part(self, file: RemoteFile) -> None:
        """The incomplete file has become ``file``. Raises :class:`FetchError`."""
        with local_errors(self.directory):
            _sync(self.part)
            target = self._files / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.part, target)
            self.part_notes.unlink(missing_ok=True)

    def publish(self, address: Address, source: Source, *, files: Sequence[RemoteFile]) -> None:
        """All files are there and verified: put them in place. Raises :class:`FetchError`."""
        sizes = {file.path: _size(self._files / file.path) for file in files}
        manifest = {"uri": address.uri, "source": source.identity, "label": source.label, "files": sizes}
        with local_errors(self.directory):
            for place in (self._record, self._files / MANIFEST):
                place.write_text(json.dumps(manifest, indent=1), encoding="utf-8")
                _sync(place)
            for folder, _, _ in os.walk(self._files):
                _sync(Path(folder))
            (self._replace if self.replaces else self._move_entries)()
            shutil.rmtree(self.hidden, ignore_errors=True)

    def _replace(self) -> None:
        if self.directory.exists() and os.listdir(self.directory):
            os.replace(self.directory, self.hidden / "old")
        os.rename(self._files, self.directory)
        _sync(self.directory.parent)

    def _move_entries(self) -> None:
        for name in (MANIFEST, *(self._own_names() - {MANIFEST, STAGING})):
            _remove(self.directory / name)
        for name in sorted(os.listdir(self._files), key=lambda name: (name == MANIFEST, name)):
            _sync(self.directory)
            os.rename(self._files / name, self.directory / name)
        _sync(self.directory)

    def _refuse_others(self, wanted: set[str]) -> None:
        """Nothing is overwritten that no fetch has put there."""
        if self.directory.is_symlink() or (self.directory.exists() and not self.directory.is_dir()):
            raise FetchError(f"{self.directory} is no directory.", status=Exit.DIRECTORY)
        if wanted & {MANIFEST, STAGING}:
            raise FetchError("The server names a file as fetch names its own.", status=Exit.UNVERIFIED)
        there = set(os.listdir(self.directory)) if self.directory.exists() else set()
        others = there - self._own_names()
        if in_the_way := sorted(others if self.replaces else others & wanted):
            raise FetchError(
                f"{self.directory} holds other files, as {in_the_way[0]!r}: name an empty directory.",
                status=Exit.DIRECTORY,
            )

    def _own_names(self) -> set[str]:
        """What a fetch has put into the directory, also one that was interrupted while it did so."""
        known = [*_manifest(self.directory / MANIFEST)["files"], *_manifest(self._record)["files"]]
        return {MANIFEST, STAGING, *(path.partition("/")[0] for path in known)}


@contextmanager
def local_errors(directory: Path) -> Iterator[None]:
    """Raises :class:`FetchError` with what the file system does not let us do."""
    try:
        yield
    except OSError as error:
        raise FetchError(
            f"{directory} cannot be written: {error.strerror or type(error).__name__}.", status=Exit.DIRECTORY
        ) from error


def _manifest(file: Path) -> Mapping[str, Any]:
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        manifest = None
    usable = isinstance(manifest, dict) and isinstance(manifest.get("files"), dict)
    return manifest if usable else {"files": {}}


def _size(file: Path) -> int | None:
    """The bytes of a regular file; None for all else."""
    try:
        found = file.lstat()
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _paths_below(folder: Path) -> list[str]:
    return [
        str((Path(parent) / name).relative_to(folder))
        for parent, _, names in os.walk(folder)
        for name in names
    ]


def _existing(folder: Path) -> Path:
    return folder if folder.exists() else _existing(folder.parent)


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Have the disk hold it, so that a crash leaves no complete directory with empty files."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
