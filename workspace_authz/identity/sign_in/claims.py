"""How the claims of an ID token become a user, by the rules of kube-apiserver's OpenID Connect authenticator.

Source: Kubernetes 1.36, "Authenticating", section "OpenID Connect Tokens", and ``claimMappings`` of the
structured authentication configuration. CEL expressions are not supported.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from workspace_authz.errors import UnauthenticatedError
from workspace_authz.identity.asserted import asserted_user
from workspace_authz.settings.sign_in_file import ClaimMappings
from workspace_authz.types import UserInfo

_EMAIL: Final = "email"


def user_of(claims: Mapping[str, Any], mappings: ClaimMappings, *, allowed: Collection[str] = ()) -> UserInfo:
    """The user whom ``claims`` name. Raises :class:`UnauthenticatedError` where they name none.

    ``allowed`` are names of Kubernetes' own that may be asserted; see :func:`asserted_user`.
    """
    username, groups, uid = mappings.username, mappings.groups, mappings.uid
    name = claims.get(username.claim)
    if not isinstance(name, str) or not name:
        raise UnauthenticatedError(
            f'The provider names no user: its ID token has no claim "{username.claim}".'
        )
    if username.claim == _EMAIL and claims.get("email_verified", True) is not True:
        raise UnauthenticatedError("The provider has not verified the e-mail address of this account.")
    prefix = groups.prefix if groups is not None else ""
    user = asserted_user(
        username.prefix + name,
        [prefix + group for group in groups_of(claims, mappings)],
        source="the ID token",
        allowed=allowed,
    )
    return replace(user, uid=str(claims.get(uid.claim, ""))) if uid is not None else user


def groups_of(claims: Mapping[str, Any], mappings: ClaimMappings) -> Sequence[str]:
    """The groups that ``claims`` name, without prefix: a list, or one name. Raises as :func:`user_of`."""
    if mappings.groups is None:
        return ()
    found = claims.get(mappings.groups.claim)
    if found is None:
        return ()
    listed = [found] if isinstance(found, str) else found
    if not isinstance(listed, list) or not all(isinstance(group, str) for group in listed):
        raise UnauthenticatedError(
            f'The claim "{mappings.groups.claim}" of the ID token is no list of groups.'
        )
    return listed
