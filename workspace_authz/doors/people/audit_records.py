"""Who may look at what was decided in a workspace, and what of it they are shown."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

from workspace_authz.authorizer.authorizer import Authorizer
from workspace_authz.database.audit import AuditRow, Wanted
from workspace_authz.errors import MissingError, UnavailableError
from workspace_authz.history.events import AskedRight, owner_of
from workspace_authz.history.history import History, Kept
from workspace_authz.kubernetes.reviews import NO_ANSWER
from workspace_authz.pipeline.pipeline import DEADLINE_SECONDS
from workspace_authz.pipeline.refusals import forbidden
from workspace_authz.runtime.runtime import Runtime
from workspace_authz.types import Attributes, Caller, Outcome, Resource, Verb

_CHUNK: Final = 500
_MOST_CHUNKS: Final = 20
"""Of rows that are looked at for one answer: a filter may match few of many."""
HIDDEN: Final = "(hidden)"
"""In the place of a name that the caller may not see."""
_RESOURCES: Final = frozenset(str(resource) for resource in Resource)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records are wanted. Empty texts want all."""

    user: str = ""
    resource: str = ""
    """With its subresource, as ``gatewayendpoints/use``."""
    name: str = ""
    decision: str = ""

    def matches(self, record: Kept) -> bool:
        """Whether a record, as it is shown, is wanted. What is hidden is never found."""
        if not self.resource and not self.name:
            return True
        return any(
            self.resource in ("", each.resource) and (not self.name or self.name == each.name)
            for each in record.asked
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Some records of a workspace, the newest first."""

    records: Sequence[Kept]
    before: int | None
    """The id before which the next page begins; None after the last."""


@dataclass(frozen=True, slots=True)
class AuditView:
    """What one caller may look at in one workspace."""

    history: History
    authorizer: Authorizer
    caller: Caller
    namespace: str
    namespace_uid: str
    sees_all: bool
    """Whether they may look at everybody's records; else at their own only."""
    sees_changes: bool = False
    """Whether they may see what others changed in Kubernetes: Roles hold the names of objects."""

    async def page(self, wanted: Filter, *, own: bool, before: int | None, most: int) -> Page:
        """Up to ``most`` records. ``own``: the caller's own only.

        A page may hold fewer than there are, even none, where the filter has looked at very many. Raises
        :class:`UnavailableError`, and ``TooManyRequestsError`` while the caller looks already.
        """
        name = self.caller.user.username
        own = own or not self.sees_all
        if own and wanted.user not in ("", name):
            return Page((), None)
        user = name if own else wanted.user
        rows = Wanted(self.namespace_uid, owner_of(user) if user else "", wanted.decision, before)
        with self.history.look(owner_of(name)):
            return await self._found(rows, wanted, own=own, most=most)

    async def _found(self, rows: Wanted, wanted: Filter, *, own: bool, most: int) -> Page:
        found: list[Kept] = []
        for _ in range(_MOST_CHUNKS):
            chunk = await self.history.read(rows, most=_CHUNK)
            for record in await self._shown(chunk, own=own):
                if wanted.matches(record):
                    found.append(record)
                    if len(found) == most:
                        return Page(found, record.row.id)
            if len(chunk) < _CHUNK:
                return Page(found, None)
            rows = replace(rows, before=chunk[-1].row.id)
        return Page(found, rows.before)

    async def _shown(self, records: Sequence[Kept], *, own: bool) -> Sequence[Kept]:
        if own:
            return [replace(record, asked=_as_answered(record)) for record in records]
        asked = chain.from_iterable(record.asked for record in records)
        visible = await self._visible({each.resource for each in asked if each.name})
        return [
            Kept(
                row=record.row if self.sees_changes else _without_change(record.row),
                asked=[_hidden(each, visible) for each in record.asked],
                left_out=record.left_out,
            )
            for record in records
        ]

    async def _visible(self, resources: Collection[str]) -> frozenset[str]:
        """Those of ``resources`` of which the caller may see all objects."""
        bare = {resource.partition("/")[0] for resource in resources} & _RESOURCES
        questions = [
            Attributes(self.namespace, verb, Resource(name))
            for name in bare
            for verb in (Verb.GET, Verb.LIST)
        ]
        decisions = await self.authorizer.authorize_all(self.caller, questions)
        return frozenset(
            str(question.resource)
            for question, decision in decisions.items()
            if decision.outcome is Outcome.ALLOW
        )


async def audit_view(runtime: Runtime, history: History, *, caller: Caller, namespace: str) -> AuditView:
    """What the caller may look at in ``namespace``: everything for who may list its RoleBindings, their own
    records for who holds any MLflow right in it.

    Raises ``ForbiddenError`` for anybody else, whether the namespace exists or not, :class:`MissingError`
    where there is no such workspace, and :class:`UnavailableError`.
    """
    authorizer = runtime.pipeline.authorizer
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            sees_all = await authorizer.may_on_rbac(
                caller, "list", resource="rolebindings", namespace=namespace
            )
            if not sees_all and not await authorizer.holds_any_right(caller, namespace):
                raise forbidden(caller.user, Attributes(namespace, Verb.LIST, Resource.EXPERIMENTS))
            sees_changes = sees_all and await authorizer.may_on_rbac(
                caller, "list", resource="roles", namespace=namespace
            )
            uid = await _uid_of(runtime, namespace)
    except TimeoutError as error:
        raise UnavailableError(NO_ANSWER) from error
    return AuditView(history, authorizer, caller, namespace, uid, sees_all, sees_changes)


async def _uid_of(runtime: Runtime, namespace: str) -> str:
    """Whose records are the workspace's: those of the namespace that has the name now."""
    workspaces = runtime.pipeline.workspaces
    if workspaces is None:
        return ""
    found = await workspaces.lookup(namespace)
    if found is None:
        raise MissingError(f"Workspace '{namespace}' not found.")
    return found.uid


def _as_answered(record: Kept) -> Sequence[AskedRight]:
    """The questions as the answer to the caller told them: of what was looked up, only what they got."""
    passed = record.row.decision == "allow"
    return [each for each in record.asked if not each.looked_up or (passed and each.outcome == Outcome.ALLOW)]


def _without_change(row: AuditRow) -> AuditRow:
    return replace(row, changed=HIDDEN) if row.changed else row


def _hidden(asked: AskedRight, visible: Collection[str]) -> AskedRight:
    if not asked.name or asked.resource.partition("/")[0] in visible:
        return asked
    return replace(asked, name=HIDDEN)
