"""May they? And where the broad right is missing: may they on each object that the request touches?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from workspace_authz.authorizer.authorizer import Authorizer
from workspace_authz.catalog.compile import Match
from workspace_authz.catalog.model import Guarded, Requirement
from workspace_authz.errors import ForbiddenError, MissingError
from workspace_authz.mlflow_adapter.reading.reader import Objects, Reading, Values
from workspace_authz.mlflow_adapter.reading.request import AccessRequest
from workspace_authz.pipeline.conditions import applies
from workspace_authz.pipeline.lists import ListDemand, Lists
from workspace_authz.pipeline.naming import nameable, names_of
from workspace_authz.pipeline.refusals import forbidden
from workspace_authz.pipeline.verdict import Check, Verdict
from workspace_authz.types import Attributes, Caller, Outcome, Verb


@dataclass(frozen=True, slots=True)
class Demand:
    """What one request must be allowed. ``objects`` is None where no MLflow is at hand: broad rights only."""

    authorizer: Authorizer
    objects: Objects | None
    caller: Caller
    verdict: Verdict
    workspace: str | None
    """The request's, None on a server without workspaces."""
    lists: Lists | None = None
    """None where no MLflow is at hand: lists for broad rights only."""
    refuse_closed: Callable[[Caller, Attributes], Awaitable[None]] | None = None
    """Raises ``ForbiddenError`` before anything is looked up in a closed workspace."""

    async def fulfil(self, guarded: Guarded, found: Match, request: AccessRequest) -> None:
        """Every requirement must be allowed; the first refusal in the catalog's order is the one told."""
        reading = (
            Reading(self.objects, found.route, request=request, parameters=found.parameters)
            if self.objects is not None
            else None
        )
        for needed in guarded.requirements:
            if await applies(needed, request, found.parameters, reading=reading):
                await self._fulfil(needed, reading, request)
        if not self.verdict.checks:
            raise ForbiddenError("This request names nothing that could be allowed.")

    async def _fulfil(self, needed: Requirement, reading: Reading | None, request: AccessRequest) -> None:
        broad = self.broad(needed)
        if await self.allowed(broad):
            if needed.same_workspace and reading is not None:
                await self.opened(broad)
                await self._find(needed, reading)
            return
        if reading is None or not nameable(needed):
            raise forbidden(self.caller.user, broad)
        await self.opened(broad)
        if needed.listing is not None:
            self.verdict.narrowing = await self.listing(needed, reading, request=request).narrowed()
            return
        await self.fulfil_by_names(needed, reading)

    async def opened(self, broad: Attributes) -> None:
        """To be awaited before a look-up; raises ``ForbiddenError`` where the workspace is closed."""
        if self.refuse_closed is not None:
            await self.refuse_closed(self.caller, broad)

    async def _find(self, needed: Requirement, values: Values) -> None:
        """Raise :class:`MissingError` for an object of another workspace as for one that is nowhere."""
        namespace = self.broad(needed).namespace
        if self.objects is None:
            return
        found = await names_of(needed, values, self.objects, namespace=namespace, workspace=self.workspace)
        if found is None:
            raise MissingError(f"The request refers to something that is not in workspace '{namespace}'.")

    async def fulfil_by_names(self, needed: Requirement, values: Values) -> None:
        """All objects that ``values`` name must be allowed; raises :class:`ForbiddenError`."""
        broad = self.broad(needed)
        if self.objects is None:
            raise forbidden(self.caller.user, broad)
        names = await names_of(
            needed, values, self.objects, namespace=broad.namespace, workspace=self.workspace
        )
        if names is None:
            raise forbidden(self.caller.user, broad)
        for named in names:
            question = replace(broad, name=named.name)
            if not await self.allowed(question, looked_up=not named.sent):
                # To who may not see it, an object that exists is refused in the words of one that does not.
                told = named.sent or await self._seen(question)
                raise forbidden(self.caller.user, question if told else broad)

    async def _seen(self, refused: Attributes) -> bool:
        """Whether the caller may see the object otherwise, and so be told its name."""
        verb = Verb.LIST if refused.verb is Verb.GET else Verb.GET
        decision = await self.authorizer.authorize(self.caller, replace(refused, verb=verb, subresource=""))
        return decision.outcome is Outcome.ALLOW

    def broad(self, needed: Requirement) -> Attributes:
        """The right on all objects."""
        return Attributes(self.verdict.workspace or "", needed.verb, needed.resource, needed.subresource)

    def listing(self, needed: Requirement, reading: Reading, *, request: AccessRequest) -> ListDemand:
        """What a list comes to without the broad right; raises :class:`ForbiddenError`."""
        route, broad = self.verdict.route, self.broad(needed)
        if self.lists is None or self.objects is None or route is None:
            raise forbidden(self.caller.user, broad)
        return ListDemand(
            self.lists,
            self.objects,
            caller=self.caller,
            verdict=self.verdict,
            needed=needed,
            broad=broad,
            request=request,
            reading=reading,
            route=route,
        )

    async def allowed(self, question: Attributes, *, looked_up: bool = False) -> bool:
        """Whether Kubernetes allows it. Each question is asked once in a request."""
        for check in self.verdict.checks:
            if check.attributes == question:
                return check.decision.outcome is Outcome.ALLOW
        decision = await self.authorizer.authorize(self.caller, question)
        self.verdict.checks.append(Check(question, decision, looked_up))
        return decision.outcome is Outcome.ALLOW
