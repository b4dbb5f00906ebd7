"""Acting as somebody else (``kubectl --as``): allowed per user, group, uid and extra value.

https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from multidict import CIMultiDictProxy

from workspace_authz.devplane.embedded.authentication import AUTHENTICATED
from workspace_authz.devplane.embedded.rbac import AccessAttributes
from workspace_authz.devplane.embedded.status import bad_request
from workspace_authz.devplane.embedded.tokens import service_account_groups
from workspace_authz.types import UserInfo

_USER, _GROUP, _UID, _EXTRA = (
    "Impersonate-User",
    "Impersonate-Group",
    "Impersonate-Uid",
    "impersonate-extra-",
)
_AUTHENTICATION = "authentication.k8s.io"
_UNAUTHENTICATED = "system:unauthenticated"
_ANONYMOUS = "system:anonymous"


def impersonated(headers: CIMultiDictProxy[str]) -> UserInfo | None:
    """The user that the request wants to act as, not yet authorized. Raises a 400."""
    groups = tuple(headers.getall(_GROUP, ()))
    uid = headers.get(_UID, "")
    extra: dict[str, tuple[str, ...]] = {}
    for header, value in headers.items():
        if header.lower().startswith(_EXTRA):
            key = unquote(header.lower().removeprefix(_EXTRA))
            extra[key] = (*extra.get(key, ()), value)
    username = headers.get(_USER, "")
    if not username:
        if groups or uid or extra:
            raise bad_request("requested impersonation without impersonating a user")
        return None
    account = UserInfo(username).service_account
    if account is not None and not groups:
        groups = service_account_groups(account[0])
    own = _UNAUTHENTICATED if username == _ANONYMOUS else AUTHENTICATED
    if not {AUTHENTICATED, _UNAUTHENTICATED} & set(groups):
        groups = (*groups, own)
    return UserInfo(username, uid, groups, tuple(sorted(extra.items())))


def required_rights(headers: CIMultiDictProxy[str], user: UserInfo) -> Iterator[AccessAttributes]:
    """What the caller must be allowed in order to act as ``user``."""
    if (account := user.service_account) is not None:
        namespace, name = account
        yield AccessAttributes("impersonate", resource="serviceaccounts", namespace=namespace, name=name)
    else:
        yield AccessAttributes("impersonate", resource="users", name=user.username)
    for group in headers.getall(_GROUP, ()):
        yield AccessAttributes("impersonate", resource="groups", name=group)
    for key, values in user.extra:
        for value in values:
            yield AccessAttributes(
                "impersonate", group=_AUTHENTICATION, resource="userextras", subresource=key, name=value
            )
    if user.uid:
        yield AccessAttributes("impersonate", group=_AUTHENTICATION, resource="uids", name=user.uid)
