"""From an address to a complete directory, or to a directory that is as it was before."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from workspace_authz.client.fetch.address import Address
from workspace_authz.client.fetch.listing import RemoteFile, list_files
from workspace_authz.client.fetch.resolving import resolve
from workspace_authz.client.fetch.server import TrackingServer
from workspace_authz.client.fetch.staging import Staging
from workspace_authz.client.fetch.transfer import Transfer

Tell = Callable[[str], None]
_BETWEEN_SECONDS: Final = 5.0


@dataclass(slots=True)
class Progress:
    """Tells how far it is, every few seconds."""

    total: int
    tell: Tell
    done: int = 0
    _told: float = field(default_factory=time.monotonic, init=False)

    def advance(self, count: int) -> None:
        """So many bytes more."""
        self.done += count
        if time.monotonic() - self._told < _BETWEEN_SECONDS:
            return
        self._told = time.monotonic()
        share = f", {100 * self.done // self.total} %" if self.total else ""
        self.tell(f"{_size(self.done)} of {_size(self.total)}{share}")


def fetch(server: TrackingServer, address: Address, *, directory: Path, tell: Tell) -> None:
    """Have the files of ``address`` in ``directory``, all or none.

    Raises :class:`~workspace_authz.client.fetch.outcome.FetchError`; the directory is then as it was.
    """
    if address.workspace:
        server = replace(server, workspace=address.workspace)
    source = resolve(server, address)
    files = list_files(server, source)
    total = sum(file.size or 0 for file in files)
    tell(f"{address.uri} is {source.label}: {len(files)} files, {_size(total)}")
    staging = Staging.beside(directory)
    if staging.holds(source, files):
        tell(f"{directory} holds them already")
        return
    staging.open(source, files)
    _transfer(server, staging, files=files, progress=Progress(total, tell))
    staging.publish(address, source, files=files)
    tell(f"{directory} is complete")


def _transfer(
    server: TrackingServer, staging: Staging, *, files: tuple[RemoteFile, ...], progress: Progress
) -> None:
    missing = [file for file in files if not staging.has(file)]
    if kept := len(files) - len(missing):
        progress.tell(f"{kept} files are here from an earlier attempt")
    progress.done = progress.total - sum(file.size or 0 for file in missing) + staging.part_size
    transfer = Transfer(server, staging, progress.advance)
    for file in missing:
        transfer.get(file)


def _size(count: int) -> str:
    value, unit = float(count), "bytes"
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{count} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
