"""Callers whom a proxy names in headers: ``x-remote-user``, ``kubeflow-userid``, ``x-auth-request-user``, …

The headers are believed from a proxy that proves who it is, and from nobody else. So the sender is looked at
first, whatever the headers say. The caller's reviews are asked by the server's own account.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from workspace_authz.aio.statistics import Statistics
from workspace_authz.errors import UnauthenticatedError
from workspace_authz.identity.asserted import RESERVED, asserted_user
from workspace_authz.identity.authenticator import Presented
from workspace_authz.identity.senders import Senders, single_values, title
from workspace_authz.identity.verified_tokens import TokenRules
from workspace_authz.kubernetes.credentials import AssertedUser
from workspace_authz.types import Caller, Credential, UserInfo


@dataclass(frozen=True, slots=True)
class IdentityHeaders:
    """Where a proxy writes whom it authenticated. Names of headers are in lower case, with hyphens."""

    user: bytes = b"x-remote-user"
    groups: bytes = b"x-remote-groups"
    separator: str = "|"
    user_prefix: str = ""
    """Put before the user's name."""
    groups_prefix: str = ""
    """Put before each group."""
    allowed: Collection[str] = ()
    """See :func:`~workspace_authz.identity.asserted.asserted_user`."""

    @property
    def names(self) -> frozenset[bytes]:
        """The headers."""
        return frozenset({self.user, self.groups})

    @property
    def advice(self) -> str:
        """How else a caller becomes known, as a sentence."""
        return f"A proxy that proves who it is names the caller in {title(self.user)}."

    def tried(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
        """One that names somebody, in any spelling; None where there is none."""
        names = self.names
        return next(
            (name for name, value in headers if name.replace(b"_", b"-") in names and value.strip()), None
        )

    def named(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, Sequence[str]] | None:
        """The name and the groups of the user; None where nobody is named.

        Raises :class:`UnauthenticatedError` where a client may have added to what the proxy sent.
        """
        values = single_values(headers, self.names)
        user, groups = values.get(self.user), values.get(self.groups)
        if user is None:
            if groups is not None:
                raise UnauthenticatedError(
                    f"This request has groups in {title(self.groups)}, and no user in {title(self.user)}."
                )
            return None
        name = _text(self.user, user)
        if "," in name:
            raise UnauthenticatedError(_appended(self.user))
        listed = _text(self.groups, groups or b"")
        if self.separator != "," and "," in listed:
            raise UnauthenticatedError(
                f"{_appended(self.groups)} If it is the separator, the server's setting "
                "WORKSPACE_AUTHZ_REMOTE_GROUPS_SEPARATOR must say so."
            )
        found = (group.strip() for group in listed.split(self.separator))
        return self.user_prefix + name, [self.groups_prefix + group for group in found if group]

    def user_info(self, name: str, groups: Sequence[str]) -> UserInfo:
        """The user. Raises :class:`UnauthenticatedError` for what a proxy may not assert."""
        source = f"{title(self.user)} and {title(self.groups)}"
        return asserted_user(name, groups, source=source, allowed=self.allowed)


class ProxyHeaderAuthenticator:
    """An :class:`~workspace_authz.identity.authenticator.Authenticator` for :class:`IdentityHeaders`.

    ``rules`` say where a token would be found: a name of Kubernetes' own beside a token of the caller's is
    left to the token, because a proxy in front of service accounts sends both.
    """

    def __init__(self, headers: IdentityHeaders, senders: Senders, *, rules: TokenRules) -> None:
        self._headers = headers
        self._senders = senders
        self._rules = rules
        self.statistics = Statistics()

    async def authenticate(
        self, presented: Presented, *, unverified: Callable[[Credential], None]
    ) -> Caller | None:
        """See :class:`~workspace_authz.identity.authenticator.Authenticator`.

        Raises :class:`UnauthenticatedError`, and what a proxy's own token may raise.
        """
        if not await self._senders.verified(presented):
            tried = self._headers.tried(presented.headers)
            if tried is not None:
                raise UnauthenticatedError(
                    f"The header {title(tried)} is believed only from a proxy that proves who it is, and "
                    "this request does not come from one."
                )
            return None
        named = self._headers.named(presented.headers)
        if named is None:
            return None
        name, groups = named
        if self._is_reserved(name) and self._rules.found(presented) is not None:
            return None
        return Caller(self._headers.user_info(name, groups), AssertedUser())

    def _is_reserved(self, name: str) -> bool:
        return name.startswith(RESERVED) and name not in self._headers.allowed

    def workspaces(self, presented: Presented) -> Sequence[str]:
        """See :class:`~workspace_authz.identity.authenticator.Authenticator`: a name names none."""
        return ()

    async def confirm(self, caller: Caller) -> Caller | None:
        """See :class:`~workspace_authz.identity.authenticator.Authenticator`: a proxy's word is not kept."""
        return caller if isinstance(caller.credential, AssertedUser) else None


def _text(header: bytes, value: bytes) -> str:
    """As the API server reads it. Raises :class:`UnauthenticatedError` for what is no UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise UnauthenticatedError(f"The header {title(header)} is not UTF-8.") from None


def _appended(header: bytes) -> str:
    return f"The header {title(header)} holds a comma, so a client's value may stand before the proxy's."
