"""Users who are known by a name and groups that something other than the API server asserts.

A proxy asserts them in headers, or an identity provider in a token of its own. The API server never sees a
credential of such a user: it is asked about the names as they are given. So a name that means something to
Kubernetes itself is refused, because a review for the group ``system:masters`` is allowed everything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from workspace_authz.errors import UnauthenticatedError
from workspace_authz.types import UserInfo

AUTHENTICATED: Final = "system:authenticated"
"""The group of everybody who is authenticated. The API server adds it itself to users whom it authenticates
(k8s.io/apiserver, ``authenticatorfactory``), and not to those about whom it is asked."""
RESERVED: Final = "system:"
"""How the names begin that Kubernetes keeps for itself
(https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-subjects)."""

MAX_GROUPS: Final = 1000
"""About as many as Active Directory puts into one token (1,015). Every review names them all, and the API
server compares each with the subjects of every binding."""
MAX_NAME_BYTES: Final = 1024
"""Of a user or a group, in UTF-8."""


def asserted_user(
    name: str, groups: Iterable[str] = (), *, source: str, allowed: Collection[str] = ()
) -> UserInfo:
    """The user who is asserted, with the group :data:`AUTHENTICATED`; empty and repeated groups are left out.

    Names count as they are, character by character, as RBAC compares them. ``source`` says in a refusal where
    they were read. ``allowed`` are names that may be asserted although they begin with :data:`RESERVED`.
    Raises :class:`UnauthenticatedError` for other such names, for what can be no name, and for too many or
    too long ones.
    """
    _check("user name", name, source=source, allowed=allowed)
    distinct: dict[str, None] = {}
    for group in groups:
        if group in ("", AUTHENTICATED):
            continue
        _check("name of a group", group, source=source, allowed=allowed)
        distinct[group] = None
        if len(distinct) > MAX_GROUPS:
            raise UnauthenticatedError(
                f"The user in {source} has more than {MAX_GROUPS:,} groups: let the sender leave out those "
                "to which no RoleBinding grants anything."
            )
    return UserInfo(name, groups=(*distinct, AUTHENTICATED))


def _check(what: str, name: str, *, source: str, allowed: Collection[str]) -> None:
    if not name:
        raise UnauthenticatedError(f"The {what} in {source} is empty.")
    if not name.isprintable():
        raise UnauthenticatedError(f"The {what} in {source} has characters that cannot be printed.")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise UnauthenticatedError(f"The {what} in {source} is longer than {MAX_NAME_BYTES:,} bytes.")
    if name.startswith(RESERVED) and name not in allowed:
        raise UnauthenticatedError(
            f"The {what} in {source} is '{name}'. Names that begin with {RESERVED} are Kubernetes' own and "
            "are not taken from there; a service account proves itself by its token."
        )
