"""May they? And where the broad right is missing: may they on each object that the request touches?"""

from __future__ import annotations

from dataclasses import dataclass, replace

from workspace_authz.authorizer.authorizer import Authorizer
from workspace_authz.catalog.compile import Match
from workspace_authz.catalog.model import Guarded, Requirement
from workspace_authz.enforcement.extraction import Arguments, Objects, Reading, Values
from workspace_authz.enforcement.graphql import demanded, read_document
from workspace_authz.enforcement.naming import nameable, names_of
from workspace_authz.enforcement.presence import applies
from workspace_authz.enforcement.refusals import forbidden
from workspace_authz.enforcement.request import AccessRequest
from workspace_authz.enforcement.verdict import Check, Verdict
from workspace_authz.errors import ForbiddenError
from workspace_authz.types import Attributes, Caller, Outcome


@dataclass(frozen=True, slots=True)
class Demand:
    """What one request must be allowed. ``objects`` is None where no MLflow is at hand: broad rights only."""

    authorizer: Authorizer
    objects: Objects | None
    caller: Caller
    verdict: Verdict
    workspace: str | None
    """The request's, None on a server without workspaces."""

    async def fulfil(self, guarded: Guarded, found: Match, request: AccessRequest) -> None:
        """Every requirement must be allowed; the first refusal in the catalog's order is the one told."""
        if guarded.by_document and self.objects is not None:
            await self._fulfil_document(guarded, self.objects, request)
            return
        reading = (
            Reading(self.objects, found.route, request=request, parameters=found.parameters)
            if self.objects is not None
            else None
        )
        for needed in guarded.requirements:
            if await applies(needed, request, found.parameters):
                await self._fulfil(needed, reading)
        if not self.verdict.checks:
            raise ForbiddenError("This request names nothing that could be allowed.")

    async def _fulfil_document(self, guarded: Guarded, objects: Objects, request: AccessRequest) -> None:
        """What each field of the document demands; one that touches nothing is for who holds any right."""
        calls = await read_document(objects, request)
        for needed, call in demanded(guarded, calls):
            await self._fulfil(needed, Arguments(call))
        if not self.verdict.checks:
            namespace = self.verdict.workspace or ""
            if not await self.authorizer.holds_any_right(self.caller, namespace):
                first = guarded.requirements[0]
                raise forbidden(self.caller.user, Attributes(namespace, first.verb, first.resource))

    async def _fulfil(self, needed: Requirement, reading: Values | None) -> None:
        namespace = self.verdict.workspace or ""
        broad = Attributes(namespace, needed.verb, needed.resource, needed.subresource)
        if await self._allowed(broad):
            return
        if self.objects is None or reading is None or not nameable(needed):
            raise forbidden(self.caller.user, broad)
        names = await names_of(needed, reading, self.objects, namespace=namespace, workspace=self.workspace)
        if names is None:
            raise forbidden(self.caller.user, broad)
        for named in names:
            question = replace(broad, name=named.name)
            if not await self._allowed(question, looked_up=not named.sent):
                # An object that exists and one that does not are refused in the same words.
                raise forbidden(self.caller.user, question if named.sent else broad)

    async def _allowed(self, question: Attributes, *, looked_up: bool = False) -> bool:
        """Ask each question once in a request."""
        for check in self.verdict.checks:
            if check.attributes == question:
                return check.decision.outcome is Outcome.ALLOW
        decision = await self.authorizer.authorize(self.caller, question)
        self.verdict.checks.append(Check(question, decision, looked_up))
        return decision.outcome is Outcome.ALLOW
