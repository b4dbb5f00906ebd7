"""The one runtime of a process, shared by the two entry points through which MLflow loads us.

The design's one module-level mutable value: MLflow builds the app and the workspace provider apart and
gives neither to the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workspace_authz.errors import UnavailableError

if TYPE_CHECKING:  # the provider looks in here in processes that serve nothing, too
    from workspace_authz.runtime.runtime import Runtime
    from workspace_authz.workspaces.directory import Directory

_installed: list[Runtime] = []


def install(runtime: Runtime) -> None:
    """Make ``runtime`` the process's own. Raises ``RuntimeError`` if there is one already."""
    if _installed:
        raise RuntimeError("this process has a runtime already")
    _installed.append(runtime)


def remove() -> None:
    """Forget the runtime: it is being closed."""
    _installed.clear()


def current() -> Runtime | None:
    """The runtime, or None in a process that guards nothing or has not started yet."""
    return _installed[0] if _installed else None


def require() -> Runtime:
    """The runtime. Raises :class:`UnavailableError` before it has started and after it has stopped."""
    if not _installed:
        raise UnavailableError("The server is starting; try again.")
    return _installed[0]


def current_directory() -> Directory | None:
    """The directory of a guarded worker; None in every other process."""
    return _installed[0].directory if _installed else None
