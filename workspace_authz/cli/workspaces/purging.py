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
from workspace_authz.cli.workspaces.opening import Stores, look_at_cluster, open_stores
from workspace_authz.errors import ConfigurationError
from workspace_authz.mlflow_adapter.store.artifact_folders import Folder, workspace_folder
from workspace_authz.mlflow_adapter.store.occupancy import count_rows
from workspace_authz.mlflow_adapter.store.purge import delete_rows
from workspace_authz.tenancy.claims import NOBODY, Reason, bind, unbind
from workspace_authz.tenancy.states import State

_PURGEABLE: Final = (State.CLOSED, State.ORPHAN)
_DEFAULT: Final = "default"
"""MLflow's own workspace (``mlflow.utils.workspace_utils.DEFAULT_WORKSPACE_NAME``)."""


@dataclass(frozen=True, slots=True)
class _Remains:
    """What there is of a workspace."""

    rows: dict[str, int]
    """By table."""
    entries: list[str]
    """What lies in its artifact folder."""

    @property
    def in_words(self) -> str:
        """``12 rows of 3 tables and 2 folders of artifacts``."""
        return (
            f"{sum(self.rows.values())} rows of {len(self.rows)} tables "
            f"and {len(self.entries)} folders of artifacts"
        )


def run(options: argparse.Namespace) -> int:
    """Say what there is, ask, delete it, and let the next write bind the workspace anew."""
    name = options.name
    folder = _folder(options)
    with open_stores(options) as stores:
        user = _demand_unused(options, stores)
        remains = _look(stores, name, folder)
        if options.output == "text":
            print_lines([f"{count:>9}  {table}" for table, count in remains.rows.items()])
        if options.dry_run:
            return _told(options, f"{name}: {remains.in_words} would be deleted", remains)
        if not (options.yes or _confirmed(name, remains)):
            note("nothing was deleted.")
            return NO
        _demand_unused(options, stores)  # somebody may have adopted it while the question stood
        bind(stores.own, name, NOBODY, Reason.START)  # closed, whatever happens, until all is gone
        _delete(stores, name, folder)
        left = _look(stores, name, folder)
        if left.rows or left.entries:
            note(
                f"{name}: somebody wrote meanwhile; {left.in_words} are left, and it stays closed: try again."
            )
            return NO
        unbind(stores.own, name)
    return _told(options, f"{name}: {remains.in_words} were deleted by {user}", remains)


def _demand_unused(options: argparse.Namespace, stores: Stores) -> str:
    """Who asks. Raises :class:`ConfigurationError` unless the workspace is closed or has no namespace."""
    cluster = look_at_cluster(options)
    found = {standing.workspace: standing for standing in stores.standings(cluster.namespaces)}
    standing = found.get(options.name)
    if standing is None:
        raise ConfigurationError(f"The workspace {options.name} holds no data.")
    if standing.state not in _PURGEABLE:
        raise ConfigurationError(
            f"The workspace {options.name} is {standing.state}: only one that is closed or has no namespace "
            "can be purged. Delete the namespace first, and wait until it is gone."
        )
    return cluster.user


def _folder(options: argparse.Namespace) -> Folder | None:
    """Where the artifacts are; None if they are kept. Raises :class:`ConfigurationError`."""
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


def _look(stores: Stores, name: str, folder: Folder | None) -> _Remains:
    rows: dict[str, int] = {}
    for engine in stores.all:
        for table, count in count_rows(engine, name).items():
            rows[table] = rows.get(table, 0) + count
    with _explained():
        return _Remains(rows, folder.entries() if folder else [])


def _delete(stores: Stores, name: str, folder: Folder | None) -> None:
    """Artifacts first: while rows are left, ``list`` shows that something is."""
    if folder is not None:
        with _explained():
            for entry in folder.entries():
                folder.delete(entry)
                _progress(f"artifacts of {entry}: deleted")
            folder.close()
    for engine in stores.all:
        delete_rows(engine, name, progress=lambda table, count: _progress(f"{table}: {count} rows deleted"))


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (OSError, ImportError) as error:
        raise ConfigurationError(
            f"The artifacts cannot be deleted: {error}. All rows are there and the workspace is closed; "
            "mend it and purge again, or use --keep-artifacts."
        ) from error


def _confirmed(name: str, remains: _Remains) -> bool:
    sys.stderr.write(f"{remains.in_words} will be deleted for ever. Type the name of the workspace: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() == name


def _progress(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _told(options: argparse.Namespace, line: str, remains: _Remains) -> int:
    if options.output == "json":
        print_json(
            {
                "workspace": options.name,
                "rows": remains.rows,
                "artifacts": remains.entries,
                "deleted": not options.dry_run,
            }
        )
    else:
        print_lines([line])
    return OK
