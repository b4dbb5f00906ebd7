"""The way of a request: what is asked, who asks, where, may they. Deny is the value of doing nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from workspace_authz.authorizer.authorizer import Authorizer
from workspace_authz.catalog.compile import CompiledCatalog, Match
from workspace_authz.catalog.model import AnyRight, Authenticated, Guarded, Public, Refused
from workspace_authz.errors import (
    ForbiddenError,
    MissingError,
    RequestError,
    UnavailableError,
    UnknownRouteError,
)
from workspace_authz.identity.authenticator import AuthenticatorChain, Presented
from workspace_authz.identity.credentials import provider_keeps_authorization
from workspace_authz.kubernetes.reviews import NO_ANSWER
from workspace_authz.mlflow_adapter.reading.reader import Objects
from workspace_authz.mlflow_adapter.reading.request import AccessRequest, UnhurriedBody
from workspace_authz.pipeline.documents import DocumentDemand
from workspace_authz.pipeline.lists import Lists
from workspace_authz.pipeline.prefetch import foreseen
from workspace_authz.pipeline.refusals import forbidden
from workspace_authz.pipeline.rights import Demand
from workspace_authz.pipeline.verdict import Verdict
from workspace_authz.restrictions.restrictions import Restrictions
from workspace_authz.types import Attributes, Caller, Credential, Resource, Verb
from workspace_authz.workspaces.requested import WORKSPACE_HEADER, WorkspaceRule, requested_workspace

DEADLINE_SECONDS: Final = 9.0
"""The longest that a verdict may take, apart from waiting for the body; so a client hears of an API server
that hangs within ten seconds."""


class Namespace(Protocol):
    """One namespace."""

    @property
    def uid(self) -> str:
        """Another for each namespace that ever had the name."""


class Workspaces(Protocol):
    """The namespaces that are workspaces."""

    def names(self) -> Iterable[str]:
        """All of them, from memory."""

    def get(self, name: str) -> Namespace | None:
        """The namespace, if memory knows it; never asks anybody."""

    async def lookup(self, name: str) -> Namespace | None:
        """The namespace, be it made a moment ago; None when it is missing, hidden or being deleted."""


class Tenancy(Protocol):
    """Which namespace the data of a workspace belong to."""

    async def check(self, workspace: str, uid: str, *, writes: bool) -> None:
        """Raise :class:`RequestError` unless they are this namespace's, or there are none yet.

        The first request that ``writes`` makes them this namespace's.
        """


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages, joined in order. They never call each other."""

    catalog: CompiledCatalog
    identity: AuthenticatorChain
    authorizer: Authorizer
    rule: WorkspaceRule
    workspaces: Workspaces | None
    """None on a server without workspaces."""
    objects: Objects | None = None
    """Finds the names of objects; None where no MLflow is at hand, and then only broad rights count."""
    restrictions: Restrictions = field(default_factory=Restrictions)
    tenancy: Tenancy | None = None
    """None on a server without workspaces, and where no MLflow is at hand."""
    lists: Lists | None = None
    """Keeps lists to what may be seen; None where no MLflow is at hand."""

    async def judge(self, request: AccessRequest) -> Verdict:
        """The verdict for one request. A refusal is in ``verdict.error``; it is never raised."""
        verdict = Verdict()
        try:
            async with asyncio.timeout(DEADLINE_SECONDS) as deadline:
                unhurried = replace(request, body=UnhurriedBody(request.body, deadline))
                await self._judge(unhurried, verdict)
            verdict.passed = True
        except RequestError as error:
            verdict.error = error
        except TimeoutError:
            verdict.error = UnavailableError(NO_ANSWER)
        return verdict

    async def _judge(self, request: AccessRequest, verdict: Verdict) -> None:
        match = self.catalog.match(request.method, request.path)
        if match is not None:
            verdict.route = match.route
            if isinstance(match.route.policy, Public):
                verdict.public = True
                return
        gateway = verdict.calls_gateway
        presented = Presented(request.headers, peer=request.peer, gateway=gateway)
        verdict.provider_keeps_authorization = provider_keeps_authorization(request.headers, gateway=gateway)
        with ExitStack() as prefetched:

            def prefetch(credential: Credential) -> None:
                """One round trip instead of two: what is asked first seldom depends on who asks."""
                question = foreseen(match, request, self.rule)
                if question is not None:
                    prefetched.enter_context(self.authorizer.prefetch(credential, question))

            verdict.caller = await self.identity.authenticate(presented, unverified=prefetch)
            await self._decide(verdict.caller, match, request, verdict=verdict)

    async def _decide(
        self, caller: Caller, match: Match | None, request: AccessRequest, *, verdict: Verdict
    ) -> None:
        if match is None:
            raise UnknownRouteError(
                f"No rule of workspace-authz covers {request.method} {request.path}, so it is refused."
            )
        match match.route.policy:
            case Refused(reason=reason):
                raise ForbiddenError(reason)
            case Authenticated():
                return
            case AnyRight(listing=True):
                verdict.visible = await self._visible(caller)
            case AnyRight(parameter=parameter):
                workspace = self._locate(request, verdict, match.parameters.get(parameter))
                await self._demand_any_right(verdict, workspace)
                await self._find(workspace, writes=False)
            case Guarded() as guarded:
                workspace = self._locate(request, verdict, None)
                own = None if self.rule.single else workspace
                demand = Demand(
                    self.authorizer, self.objects, caller, verdict, own, self.lists, self._refuse_closed
                )
                if guarded.by_document and self.objects is not None:
                    await DocumentDemand(demand, self.objects, guarded).fulfil(match, request)
                else:
                    await demand.fulfil(guarded, match, request)
                if match.route.restrictions:
                    await self._find(workspace, writes=False)
                await self.restrictions.check(match, request, workspace=own)
                await self._find(workspace, writes=not (guarded.reads or request.dry))

    def _locate(self, request: AccessRequest, verdict: Verdict, parameter: str | None) -> str:
        caller = _known(verdict)
        verdict.workspace = requested_workspace(
            self.rule, parameter=parameter, headers=request.header(WORKSPACE_HEADER), user=caller.user
        )
        return verdict.workspace

    async def _demand_any_right(self, verdict: Verdict, namespace: str) -> None:
        caller = _known(verdict)
        if not await self.authorizer.holds_any_right(caller, namespace):
            raise forbidden(caller.user, Attributes(namespace, Verb.LIST, Resource.EXPERIMENTS))

    async def _visible(self, caller: Caller) -> frozenset[str]:
        if self.workspaces is None:
            return frozenset()
        return await self.authorizer.namespaces_with_rights(caller, self.workspaces.names())

    async def _refuse_closed(self, caller: Caller, broad: Attributes) -> None:
        """Before an object is looked up: in a closed workspace no answer may depend on what is in it.

        That it is closed is told to who holds any right, as on the route of the workspace itself. Asks no
        API server about the namespace: a caller without a right must not tell one from none by the time.
        """
        known = self.workspaces.get(broad.namespace) if self.workspaces is not None else None
        if known is None or self.tenancy is None:
            return
        try:
            await self.tenancy.check(broad.namespace, known.uid, writes=False)
        except ForbiddenError:
            if await self.authorizer.holds_any_right(caller, broad.namespace):
                raise
            raise forbidden(caller.user, broad) from None

    async def _find(self, workspace: str, *, writes: bool) -> None:
        if self.workspaces is None:
            return
        namespace = await self.workspaces.lookup(workspace)
        if namespace is None:
            raise MissingError(
                f"Workspace '{workspace}' not found: there is no such namespace, or it is being deleted."
            )
        if self.tenancy is not None:
            await self.tenancy.check(workspace, namespace.uid, writes=writes)


def _known(verdict: Verdict) -> Caller:
    if verdict.caller is None:
        raise TypeError("no caller has been identified")
    return verdict.caller
