"""May they execute this GraphQL document? Each field that it makes MLflow compute demands its own right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workspace_authz.catalog.compile import Match
from workspace_authz.catalog.graphql import FieldCall
from workspace_authz.catalog.model import Guarded, Requirement
from workspace_authz.enforcement.demand import Demand
from workspace_authz.enforcement.effects import Narrowing
from workspace_authz.enforcement.extraction import Arguments, Objects, Reading
from workspace_authz.enforcement.graphql_answers import ElementFilter, Place
from workspace_authz.enforcement.naming import nameable
from workspace_authz.enforcement.refusals import forbidden
from workspace_authz.enforcement.request import AccessRequest
from workspace_authz.errors import BadRequestError, ForbiddenError


@dataclass(frozen=True, slots=True)
class DocumentDemand:
    """What one document must be allowed."""

    demand: Demand
    objects: Objects
    guarded: Guarded

    async def fulfil(self, found: Match, request: AccessRequest) -> None:
        """Every field must be allowed; a document that touches nothing is for who holds any right.

        Raises :class:`RequestError`: the first refusal in the catalog's order is the one told.
        """
        calls = await _read(self.objects, request)
        hidden: dict[Requirement, list[Place]] = {}
        for needed, call in demanded(self.guarded, calls):
            broad = self.demand.broad(needed)
            if await self.demand.allowed(broad):
                continue
            if not nameable(needed) or (needed.listing is not None and request.method == "HEAD"):
                # The Content-Length of a HEAD would tell how much is hidden.
                raise forbidden(self.demand.caller.user, broad)
            if needed.listing is None:
                await self.demand.fulfil_by_names(needed, Arguments(call))
            else:
                hidden.setdefault(needed, []).append(place_of(needed, call, calls))
        for needed, places in hidden.items():
            reading = Reading(self.objects, found.route, request=request, parameters=found.parameters)
            await self._keep(needed, places, reading, request)
        if not self.demand.verdict.checks:
            await self._demand_any_right()

    async def _keep(
        self, needed: Requirement, places: list[Place], reading: Reading, request: AccessRequest
    ) -> None:
        """Keep lists within the answer to what may be seen, which may be nothing: they are not asked for
        by themselves."""
        demand = self.demand.listing(needed, reading, request=request)
        try:
            names = tuple(sorted(set((await demand.visible()).values())))
        except ForbiddenError:
            names = ()
        answer = ElementFilter(tuple(places), frozenset(names))
        self.demand.verdict.narrowing = Narrowing(needed.qualified_resource, names, answer=answer)

    async def _demand_any_right(self) -> None:
        broad = self.demand.broad(self.guarded.requirements[0])
        if not await self.demand.authorizer.holds_any_right(self.demand.caller, broad.namespace):
            raise forbidden(self.demand.caller.user, broad)


def demanded(guarded: Guarded, calls: Sequence[FieldCall]) -> list[tuple[Requirement, FieldCall]]:
    """Each requirement with each place at which it holds, in the catalog's order.

    Raises :class:`ForbiddenError` if the document has MLflow compute a field that the catalog does not know.
    """
    known = {requirement.at for requirement in guarded.requirements} | set(guarded.free)
    for call in calls:
        if call.computed and call.field not in known:
            raise ForbiddenError(
                f"No rule of workspace-authz covers the GraphQL field {call.field}, so it is refused."
            )
    return [
        (requirement, call)
        for requirement in guarded.requirements
        for call in calls
        if call.field == requirement.at
    ]


def place_of(needed: Requirement, call: FieldCall, calls: Sequence[FieldCall]) -> Place:
    """Where the answer will have the list of ``call``, and its elements the field that names them."""
    elements = (*call.path, "[]")
    shown = [each for each in calls if each.path[:-1] == elements]
    names = (each.path[-1] for each in shown if each.field.partition(".")[2] == needed.names[0].field)
    return Place(call.path, tuple(names))


async def _read(objects: Objects, request: AccessRequest) -> Sequence[FieldCall]:
    """Every place at which the document asks for a field; raises :class:`BadRequestError`.

    The body counts whatever the method, as in ``handlers._graphql``, and never the query string.
    """
    body = await request.body.read()
    if body is None:
        raise BadRequestError("The body is too large for a GraphQL document.")
    return await objects.document(
        method=request.method, query=request.query, headers=request.headers, body=body
    )
