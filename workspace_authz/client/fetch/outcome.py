"""How a fetch ends: the exit statuses, and the errors that lead to them."""

from __future__ import annotations

from enum import IntEnum

from workspace_authz.errors import AuthzError, ExitError


class Exit(IntEnum):
    """Exit statuses of ``workspace-authz fetch``. docs/workloads.md says what to do about each."""

    COMPLETE = 0
    CONFIGURATION = 2
    UNAUTHENTICATED = 3
    FORBIDDEN = 4
    MISSING = 5
    UNAVAILABLE = 6
    UNVERIFIED = 7
    DIRECTORY = 8


class FetchError(ExitError):
    """Nothing was put into the directory. ``status``, an :class:`Exit`, says which kind of failure it is."""


class PassingError(AuthzError):
    """An attempt failed in a way that may pass. ``after``: the seconds that the server asked to wait."""

    def __init__(self, message: str, *, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after
