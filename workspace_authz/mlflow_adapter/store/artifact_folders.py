"""A workspace's artifacts: everything below ``<root>/workspaces/<name>``, and nothing else.

MLflow puts them there (``WorkspaceAwareSqlAlchemyStore._get_artifact_location``), whatever the root is.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from workspace_authz.errors import ConfigurationError
from workspace_authz.mlflow_adapter.compat import optional_module
from workspace_authz.mlflow_adapter.store.tables import DEFAULT_WORKSPACE
from workspace_authz.types import is_namespace_name

artifact_repository_registry = optional_module("mlflow.store.artifact.artifact_repository_registry")
file_utils = optional_module("mlflow.utils.file_utils")
uri = optional_module("mlflow.utils.uri")
workspace_utils = optional_module("mlflow.utils.workspace_utils")


class Folder(Protocol):
    """The folder of one workspace."""

    def entries(self) -> list[str]:
        """The names of its direct entries, mostly ids of experiments. Empty if there is no folder."""

    def delete(self, entry: str) -> None:
        """Delete one entry and everything below it."""

    def close(self) -> None:
        """Delete the folder itself, which is empty."""


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """On a file system that this machine sees."""

    path: Path

    def entries(self) -> list[str]:
        """See :class:`Folder`."""
        return sorted(entry.name for entry in self.path.iterdir()) if self.path.is_dir() else []

    def delete(self, entry: str) -> None:
        """See :class:`Folder`. A symbolic link is deleted, its target is not."""
        path = self.path / entry
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    def close(self) -> None:
        """See :class:`Folder`."""
        if self.path.is_dir():
            self.path.rmdir()


@dataclass(frozen=True, slots=True)
class StoredFolder:
    """In an object store, reached as MLflow reaches it.

    Deleted entry by entry: asked to delete the whole folder, some of MLflow's stores delete every key that
    begins with its name, and ``team-a`` begins ``team-ab``.
    """

    uri: str

    def entries(self) -> list[str]:
        """See :class:`Folder`."""
        return sorted(
            str(found.path)
            for found in artifact_repository_registry.get_artifact_repository(self.uri).list_artifacts()
        )

    def delete(self, entry: str) -> None:
        """See :class:`Folder`."""
        artifact_repository_registry.get_artifact_repository(self.uri).delete_artifacts(entry)

    def close(self) -> None:
        """An object store has no folders."""


def workspace_folder(root: str, workspace: str) -> Folder:
    """The folder of ``workspace`` below an artifact root (``--artifacts-destination``).

    Raises :class:`ConfigurationError` for a root without folders of workspaces, for a folder that a symbolic
    link puts elsewhere, and for MLflow's default workspace, whose artifacts are directly below the root.
    """
    if workspace == DEFAULT_WORKSPACE or not is_namespace_name(workspace):
        raise ConfigurationError(f"The workspace {workspace} has no folder of its own for artifacts.")
    if root.startswith(("mlflow-artifacts:", "http:", "https:")):
        raise ConfigurationError("Give the place where the server keeps artifacts, not the server itself.")
    folders = workspace_utils.WORKSPACES_DIR_NAME
    if not uri.is_local_uri(root):
        return StoredFolder(uri.append_to_uri_path(root, folders, workspace))
    base = Path(file_utils.local_file_uri_to_path(root)).resolve()
    expected = base / folders / workspace
    if expected.parent.parent != base or expected.resolve() != expected:
        raise ConfigurationError(f"{expected} is not a folder below {base}; its files are left alone.")
    return LocalFolder(expected)
