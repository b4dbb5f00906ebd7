"""The one runtime of this process, shared by the two entry points through which MLflow loads the project.

MLflow builds the app and the workspace provider separately and passes neither to the other. This module
therefore holds the project's only module-level mutable value (docs/architecture.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workspace_authz.errors import UnavailableError

if TYPE_CHECKING:  # the provider imports this module in processes that serve nothing
    from workspace_authz.runtime.runtime import Runtime
    from workspace_authz.workspaces.directory import Directory
    from workspace_authz.workspaces.root_watcher import ArtifactRoots

_runtime: Runtime | None = None


def install(runtime: Runtime) -> None:
    """Make ``runtime`` the process's own. Raises ``RuntimeError`` when there is one already."""
    global _runtime
    if _runtime is not None:
        raise RuntimeError("this process has a runtime already")
    _runtime = runtime


def uninstall() -> None:
    """Forget the runtime, because it is being closed."""
    global _runtime
    _runtime = None


def current() -> Runtime | None:
    """The runtime; None in a process that guards nothing and in one that has not started yet."""
    return _runtime


def require() -> Runtime:
    """The runtime. Raises :class:`UnavailableError` before it has started and after it has stopped."""
    if _runtime is None:
        raise UnavailableError("The server is starting; try again.")
    return _runtime


def current_directory() -> Directory | None:
    """The directory of namespaces of a guarded worker; None in every other process."""
    return _runtime.directory if _runtime is not None else None


def current_artifact_roots() -> ArtifactRoots | None:
    """The artifact roots that namespaces choose, in a guarded worker; None in every other process."""
    return _runtime.artifact_roots if _runtime is not None else None
