"""Access keys at the door: whose request it is, in which namespace, and what it wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

from workspace_authz.aio.fan_out import fan_out
from workspace_authz.authorizer.authorizer import CONCURRENT_QUESTIONS
from workspace_authz.doors.people.visible import callers_rights, namespace_of
from workspace_authz.doors.visits import Visit
from workspace_authz.errors import BadRequestError, ForbiddenError, TooManyRequestsError, UnavailableError
from workspace_authz.grants.account_levels import account_levels
from workspace_authz.grants.key_records import Key, KeyWish, checked_name, checked_wish
from workspace_authz.grants.key_rights import NEEDED, create_command
from workspace_authz.grants.keys import BroadAccount, KeyList, Keys, NewKey, ends_within
from workspace_authz.kubernetes import access_reviews
from workspace_authz.runtime.people import People
from workspace_authz.types import Caller

DEFAULT_DAYS: Final = 90

_NOT_AS_YOU: Final = (
    "You are signed in by what the Kubernetes API does not accept as yours, so this server cannot make, list "
    "or revoke access keys in your name. Do it with your own access to the cluster: {line}"
)


@dataclass(frozen=True, slots=True)
class NamespaceKeys:
    """The keys of one namespace, for one caller."""

    visit: Visit
    people: People
    caller: Caller
    namespace: str

    @property
    def audience(self) -> str:
        """What a key is for unless somebody chooses; empty for the Kubernetes API."""
        return next(iter(self.people.audiences.names), "")

    @property
    def ends_within(self) -> int:
        """After how many seconds a key that is revoked is refused everywhere."""
        return ends_within(self.people.identity_seconds)

    @property
    def acts_as_caller(self) -> bool:
        """Whether the caller has shown a token for the Kubernetes API."""
        return self.people.objects.of(self.caller) is not None

    def keys(self) -> Keys:
        """The keys as the caller. Raises :class:`ForbiddenError`, with the command line, where that cannot
        be."""
        objects = self.people.objects.of(self.caller)
        if objects is None:
            line = create_command(self.namespace, audience=self.audience)
            raise ForbiddenError(_NOT_AS_YOU.format(line=line))
        return Keys(objects, self.people.reviews, self.namespace)

    async def make(self, wish: KeyWish, *, confirmed: bool) -> NewKey | BroadAccount:
        """Make a key as the caller. Raises as :meth:`Keys.make`."""
        self.visit.own.changes(self.namespace, f"an access key of {checked_wish(wish).account}")
        async with self._place():
            return await self.keys().make(wish, made_by=self.caller.user.username, confirmed=confirmed)

    async def revoke(self, name: str) -> Key:
        """End a key as the caller. Raises as :meth:`Keys.revoke`."""
        self.visit.own.changes(self.namespace, f"the end of the access key {checked_name(name)}")
        async with self._place():
            return await self.keys().revoke(name)

    async def listed(self) -> KeyList:
        """The keys there are. Raises as :meth:`Keys.listed`."""
        async with self._place():
            return await self.keys().listed()

    async def accounts(self) -> tuple[Sequence[str], bool]:
        """The first service accounts, and whether there are more. Raises as :meth:`Keys.accounts`."""
        async with self._place():
            return await self.keys().accounts()

    def _place(self) -> AbstractAsyncContextManager[None]:
        full = TooManyRequestsError("Too many of your requests about keys run already; try again.")
        return self.people.share.place(full, caller=self.caller.user.username, workspace=self.namespace)

    def chosen_audience(self, asked: str | None) -> str:
        """The audience that somebody chose; None means the usual. Raises :class:`BadRequestError`."""
        audiences = self.people.audiences
        if asked is None:
            return self.audience
        if asked in audiences.names or (not asked and not audiences.only):
            return asked
        known = " or ".join(map(repr, audiences.names)) or "none"
        raise BadRequestError(f"This server does not take keys for that audience; it has {known}.")

    async def missing_rights(self) -> Sequence[str]:
        """Those that making keys takes and the caller lacks: ``create secrets``."""

        async def lacks(right: tuple[str, str, str]) -> str:
            verb, resource, subresource = right
            target = access_reviews.resource(
                verb, resource, namespace=self.namespace, subresource=subresource
            )
            if await self.visit.runtime.pipeline.authorizer.may_do(self.caller, target):
                return ""
            return f"{verb} {resource}/{subresource}" if subresource else f"{verb} {resource}"

        return [right for right in await fan_out(NEEDED, lacks, limit=CONCURRENT_QUESTIONS) if right]

    async def rights_of(self, accounts: Sequence[str]) -> AccountRights:
        """What the accounts hold in the namespace, as far as the caller may see bindings."""
        if not self.people.follows_rbac:
            return AccountRights({}, "The server does not know the bindings at the moment.")
        rights = callers_rights(self.visit.runtime)
        if not await rights.lists_in(self.caller, self.namespace):
            return AccountRights({}, "You may not list rolebindings here, so their rights are not shown.")
        cluster_wide = await rights.lists_cluster_wide(self.caller)
        levels = await account_levels(
            self.people.index, self.namespace, accounts=accounts, cluster_wide=cluster_wide
        )
        note = "" if cluster_wide else "Cluster-wide bindings, which you may not list, may add more."
        return AccountRights(levels, note)


@dataclass(frozen=True, slots=True)
class AccountRights:
    """What service accounts hold."""

    levels: Mapping[str, str]
    """As texts, by name; empty where the caller may not know."""
    note: str
    """What is not shown, as a sentence."""


async def namespace_keys(visit: Visit, asked: str) -> NamespaceKeys:
    """The keys of the workspace that is asked for, else of the request's.

    Raises :class:`BadRequestError` without one, and as :meth:`Visit.caller`.
    """
    caller = await visit.caller()
    people = visit.runtime.people
    if people is None:
        raise UnavailableError("This server does not know Kubernetes yet; try again.")
    named = asked or visit.workspace or visit.runtime.pipeline.rule.single
    if not named:
        raise BadRequestError("Name the workspace.")
    return NamespaceKeys(visit, people, caller, namespace_of(visit, named))
