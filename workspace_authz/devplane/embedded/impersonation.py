"""Acting as somebody else (``kubectl --as``).

Either of two ways must be allowed: constrained to a kind of user and to what is then done, or without
bounds by the verb ``impersonate``. A refusal speaks of the constrained way, as kube-apiserver's does.
https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote

from multidict import CIMultiDictProxy

from workspace_authz.devplane.embedded.authentication import ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED
from workspace_authz.devplane.embedded.policy import AccessAttributes
from workspace_authz.devplane.embedded.rbac import SUPERUSERS, RbacAuthorizer
from workspace_authz.devplane.embedded.requests import refusal
from workspace_authz.devplane.embedded.status import ApiError, Target, bad_request, forbidden, quoted
from workspace_authz.devplane.embedded.tokens import service_account_groups
from workspace_authz.types import UserInfo

_USER, _GROUP, _UID = "Impersonate-User", "Impersonate-Group", "Impersonate-Uid"
_EXTRA = "impersonate-extra-"
_AUTHENTICATION = "authentication.k8s.io"
_NODE = "system:node:"
_NODES = "system:nodes"
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class _Mode:
    """One way to be allowed to act as ``wanted``."""

    verb: str
    group: str
    """API group of the pseudo-resources ``users`` and ``groups``."""
    constraint: str = ""
    """Verb prefix of the second right, to do the thing itself."""


class Impersonator:
    """Decides whom a request is really made as."""

    def __init__(self, authorizer: RbacAuthorizer) -> None:
        self._authorizer = authorizer
        self._succeeded: dict[str, str] = {}
        """Verb of the way in which a user was last allowed: it is tried first, and its refusal shown."""

    def effective_user(
        self, user: UserInfo, headers: CIMultiDictProxy[str], asked: AccessAttributes
    ) -> UserInfo:
        """``user``, or whom the headers name if ``user`` may act as them. Raises a 400 or 403."""
        wanted = _wanted(headers)
        if wanted is None:
            return user
        refused: ApiError | None = None
        last = self._succeeded.get(user.username)
        for mode in sorted(_modes(wanted), key=lambda mode: mode.verb != last):
            try:
                self._check(mode, user, wanted, asked)
            except ApiError as error:
                refused = refused or error
            else:
                self._remember(user, mode)
                return _completed(wanted, constrained=bool(mode.constraint))
        raise refused or forbidden(Target("", ""), "no impersonation mode applies")

    def _remember(self, user: UserInfo, mode: _Mode) -> None:
        if len(self._succeeded) >= _REMEMBERED:
            self._succeeded.clear()
        self._succeeded[user.username] = mode.verb

    def _check(self, mode: _Mode, user: UserInfo, wanted: UserInfo, asked: AccessAttributes) -> None:
        if mode.constraint:
            self._require(user, replace(asked, verb=f"{mode.constraint}:{asked.verb}"))
        self._require(user, _right_on_name(mode, wanted))
        if wanted.uid:
            self._require(user, AccessAttributes(mode.verb, _AUTHENTICATION, "uids", name=wanted.uid))
        groups = AccessAttributes(mode.verb, mode.group, "groups")
        if mode.constraint:
            _check_groups(wanted.groups, groups)
        for group in wanted.groups:
            self._require(user, replace(groups, name=group))
        for key, values in wanted.extra:
            for value in values:
                extra = AccessAttributes(mode.verb, _AUTHENTICATION, "userextras", key, name=value)
                self._require(user, extra)

    def _require(self, user: UserInfo, right: AccessAttributes) -> None:
        answer = self._authorizer.authorize(user, right)
        if not answer.allowed:
            raise refusal(user, right, answer.reason)


def _wanted(headers: CIMultiDictProxy[str]) -> UserInfo | None:
    extra: dict[str, tuple[str, ...]] = {}
    for header, value in headers.items():
        if header.lower().startswith(_EXTRA):
            key = unquote(header.lower().removeprefix(_EXTRA))
            extra[key] = (*extra.get(key, ()), value)
    wanted = UserInfo(
        username=headers.get(_USER, ""),
        uid=headers.get(_UID, ""),
        groups=tuple(headers.getall(_GROUP, ())),
        extra=tuple(sorted(extra.items())),
    )
    if wanted.username:
        return wanted
    if wanted.uid or wanted.groups or wanted.extra:
        raise bad_request(f"requested {_shown(wanted)} without impersonating a user name")
    return None


def _modes(wanted: UserInfo) -> Iterator[_Mode]:
    bare = not (wanted.uid or wanted.groups or wanted.extra)
    if wanted.username.startswith(_NODE):
        kinds: Sequence[str] = ("arbitrary-node",) if bare else ()
    elif wanted.service_account is not None:
        kinds = ("serviceaccount",) if bare else ()
    else:
        kinds = ("user-info",)
    for kind in kinds:
        yield _Mode(f"impersonate:{kind}", _AUTHENTICATION, f"impersonate-on:{kind}")
    yield _Mode("impersonate", "")


def _right_on_name(mode: _Mode, wanted: UserInfo) -> AccessAttributes:
    right = AccessAttributes(mode.verb, mode.group, "users", name=wanted.username)
    if wanted.service_account is not None:
        namespace, name = wanted.service_account
        return replace(right, resource="serviceaccounts", namespace=namespace, name=name)
    if mode.constraint and wanted.username.startswith(_NODE):
        return replace(right, resource="nodes", name=wanted.username.removeprefix(_NODE))
    return right


def _check_groups(groups: Sequence[str], right: AccessAttributes) -> None:
    """What a constrained impersonation may never reach."""
    target = Target(right.group, right.resource)
    if "" in groups:
        raise forbidden(target, "impersonating the empty string group is not allowed")
    if SUPERUSERS in groups:
        raise forbidden(
            replace(target, name=SUPERUSERS), "impersonating the system:masters group is not allowed"
        )


def _completed(wanted: UserInfo, *, constrained: bool) -> UserInfo:
    """With the groups that come with the name."""
    groups = wanted.groups
    if wanted.service_account is not None and not groups:
        groups = service_account_groups(wanted.service_account[0])
    if constrained and wanted.username.startswith(_NODE):
        groups = (_NODES,)
    own = UNAUTHENTICATED if wanted.username == ANONYMOUS else AUTHENTICATED
    if own not in groups and UNAUTHENTICATED not in groups:
        groups = (*groups, own)
    return replace(wanted, groups=groups)


def _shown(user: UserInfo) -> str:
    """As Go prints it: that is what a caller of the API server gets to see."""
    extra = ", ".join(f"{quoted(key)}:{_strings(values)}" for key, values in user.extra)
    extras = f"map[string][]string{{{extra}}}" if user.extra else "map[string][]string(nil)"
    groups = _strings(user.groups) if user.groups else "[]string(nil)"
    return (
        f"&user.DefaultInfo{{Name:{quoted(user.username)}, UID:{quoted(user.uid)}, Groups:{groups}, "
        f"Extra:{extras}}}"
    )


def _strings(values: Sequence[str]) -> str:
    return "[]string{" + ", ".join(map(quoted, values)) + "}"
