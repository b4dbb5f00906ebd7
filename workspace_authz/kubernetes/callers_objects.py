"""As whom objects of the Kubernetes API are read and written: as the caller, by what they have shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from workspace_authz.errors import ConfigurationError, ForbiddenError
from workspace_authz.kubernetes.connection import Connection
from workspace_authz.kubernetes.credentials import api_token
from workspace_authz.kubernetes.objects import ApiObjects, Objects
from workspace_authz.kubernetes.own_credential import Impersonation
from workspace_authz.types import Caller

_AUTHENTICATED: Final = "system:authenticated"
_RESERVED: Final = "system:"


@dataclass(frozen=True, slots=True)
class CallersObjects:
    """:class:`Objects` for each caller who has shown a token for the Kubernetes API."""

    connection: Connection
    """One for callers, which holds no credential."""
    timeout: float

    def of(self, caller: Caller) -> Objects | None:
        """The API as ``caller``; None for a caller whom it cannot know by what they have shown."""
        token = api_token(caller)
        return None if token is None else ApiObjects(self.connection, token, self.timeout)


@dataclass(frozen=True, slots=True)
class ImpersonatedObjects:
    """:class:`Objects` for callers who are known by name only, over a connection that acts as them.

    The server's account needs the verb ``impersonate`` on them, which an administrator has given on purpose.
    """

    connection: Connection
    """One with the server's own credential."""
    timeout: float

    def of(self, caller: Caller) -> Objects | None:
        """The API as ``caller``; None for one whose name cannot be sent as it is.

        Raises :class:`ForbiddenError` for Kubernetes' own users and groups: by ``system:masters`` anybody
        could do anything.
        """
        user = caller.user
        groups = tuple(group for group in user.groups if group != _AUTHENTICATED)  # Kubernetes adds it
        if any(name.startswith(_RESERVED) for name in (user.username, *groups)):
            raise ForbiddenError(
                "This server never acts as a user or group whose name begins with `system:`. "
                "Use your own access to the cluster."
            )
        try:
            acting_as = Impersonation(user.username, groups, user.uid, user.extra)
        except ConfigurationError:
            return None
        # Around a header's value blanks are lost, so the name would be another's.
        if any(value != value.strip() for _, value in acting_as.headers()):
            return None
        return ApiObjects(self.connection, None, self.timeout, acting_as)
