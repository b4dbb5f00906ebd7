"""``workspace-authz workspaces purge``: the data of a workspace that nobody uses are deleted."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from workspace_authz.cli.options import NO, OK
from workspace_authz.cli.output import note, print_json, print_lines
from workspace_authz.cli.workspaces.stores import Stores, open_stores, read_cluster
from workspace_authz.errors import ConfigurationError
from workspace_authz.mlflow_adapter.store.artifact_folders import Folder, workspace_folder
from workspace_authz.mlflow_adapter.store.purge import delete_rows
from workspace_authz.mlflow_adapter.store.workspace_data import count_rows
from workspace_authz.tenancy.claims import NO_NAMESPACE, Reason, claim, release
from workspace_authz.tenancy.states import State

_PURGEABLE: Final = (State.CLOSED, State.ORPHAN)
_DEFAULT: Final = "default"
"""MLflow's own workspace (``mlflow.utils.workspace_utils.DEFAULT_WORKSPACE_NAME``)."""


@dataclass(frozen=True, slots=True)
class _Data:
    """The data that a workspace has."""

    rows: dict[str, int]
    """By table."""
    entries: list[str]
    """The names in its artifact folder."""

    @property
    def in_words(self) -> str:
        """``12 rows of 3 tables and 2 folders of artifacts``."""
        return (
            f"{sum(self.rows.values())} rows of {len(self.rows)} tables "
            f"and {len(self.entries)} folders of artifacts"
        )


def run(options: argparse.Namespace) -> int:
    """Count the data, ask for confirmation, delete them, and release the workspace. Returns the exit status.

    Raises :class:`ConfigurationError` for a workspace that is in use, or artifacts that cannot be deleted.
    """
    name = options.name
    folder = _folder(options)
    with open_stores(options) as stores:
        user = _demand_unused(options, stores)
        data = _read_data(stores, name=name, folder=folder)
        if options.output == "text":
            print_lines([f"{count:>9}  {table}" for table, count in data.rows.items()])
        if options.dry_run:
            return _report(options, f"{name}: {data.in_words} would be deleted", data=data)
        if not (options.yes or _confirmed(name, data)):
            note("nothing was deleted.")
            return NO
        _demand_unused(options, stores)  # somebody may have adopted it while we waited for the confirmation
        claim(stores.tracking, name, uid=NO_NAMESPACE, reason=Reason.START)  # closed until all is deleted
        _delete(stores, name=name, folder=folder)
        left = _read_data(stores, name=name, folder=folder)
        if left.rows or left.entries:
            note(
                f"{name}: somebody wrote meanwhile; {left.in_words} are left, and it stays closed: try again."
            )
            return NO
        release(stores.tracking, name)
    return _report(options, f"{name}: {data.in_words} were deleted by {user}", data=data)


def _demand_unused(options: argparse.Namespace, stores: Stores) -> str:
    """The caller's name. Raises :class:`ConfigurationError` unless the workspace is closed or an orphan."""
    cluster = read_cluster(options)
    found = {status.workspace: status for status in stores.statuses(cluster.namespaces)}
    status = found.get(options.name)
    if status is None:
        raise ConfigurationError(f"The workspace {options.name} holds no data.")
    if status.state not in _PURGEABLE:
        raise ConfigurationError(
            f"The workspace {options.name} is {status.state}: only one that is closed or has no namespace "
            "can be purged. Delete the namespace first, and wait until it is gone."
        )
    return cluster.user


def _folder(options: argparse.Namespace) -> Folder | None:
    """The folder of the artifacts; None if they are to be kept. Raises :class:`ConfigurationError`."""
    if options.name == _DEFAULT:
        raise ConfigurationError(
            f"The workspace {_DEFAULT} cannot be purged: its artifacts lie between those of the others, and "
            "Kubernetes never deletes its namespace. Adopt it instead."
        )
    if options.keep_artifacts:
        return None
    if not options.artifacts_destination:
        raise ConfigurationError(
            "Say where the artifacts are (--artifacts-destination, or MLFLOW_ARTIFACTS_DESTINATION), "
            "or --keep-artifacts."
        )
    return workspace_folder(options.artifacts_destination, options.name)


def _read_data(stores: Stores, *, name: str, folder: Folder | None) -> _Data:
    rows: dict[str, int] = {}
    for engine in stores.all:
        for table, count in count_rows(engine, name).items():
            rows[table] = rows.get(table, 0) + count
    with _artifact_errors():
        return _Data(rows, folder.entries() if folder else [])


def _delete(stores: Stores, *, name: str, folder: Folder | None) -> None:
    """Delete artifacts before rows: as long as there are rows, ``list`` shows the workspace."""
    if folder is not None:
        with _artifact_errors():
            for entry in folder.entries():
                folder.delete(entry)
                _progress(f"artifacts of {entry}: deleted")
            folder.close()
    for engine in stores.all:
        delete_rows(engine, name, progress=lambda table, count: _progress(f"{table}: {count} rows deleted"))


@contextmanager
def _artifact_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, ImportError) as error:
        raise ConfigurationError(
            f"The artifacts cannot be deleted: {error}. All rows are there and the workspace is closed; "
            "mend it and purge again, or use --keep-artifacts."
        ) from error


def _confirmed(name: str, data: _Data) -> bool:
    sys.stderr.write(f"{data.in_words} will be deleted for ever. Type the name of the workspace: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() == name


def _progress(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _report(options: argparse.Namespace, line: str, *, data: _Data) -> int:
    if options.output == "json":
        print_json(
            {
                "workspace": options.name,
                "rows": data.rows,
                "artifacts": data.entries,
                "deleted": not options.dry_run,
            }
        )
    else:
        print_lines([line])
    return OK
