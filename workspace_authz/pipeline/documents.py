"""May they execute this GraphQL document? Each field that it makes MLflow compute demands its own right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from workspace_authz.catalog.compile import Match
from workspace_authz.catalog.graphql import INPUT, Changes, FieldCall
from workspace_authz.catalog.model import Guarded, Origin, Requirement
from workspace_authz.effects.effects import Narrowing
from workspace_authz.effects.graphql_answers import ElementFilter, Place
from workspace_authz.effects.replacement import Replacement
from workspace_authz.errors import BadRequestError, ForbiddenError
from workspace_authz.mlflow_adapter.reading.reader import Arguments, Objects, Reading
from workspace_authz.mlflow_adapter.reading.request import AccessRequest
from workspace_authz.pipeline.lists import ListDemand
from workspace_authz.pipeline.naming import nameable
from workspace_authz.pipeline.refusals import forbidden
from workspace_authz.pipeline.rights import Demand


@dataclass(slots=True)
class _Less:
    """What a document is kept to for a caller who may not see all that it asks for."""

    resources: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """See :data:`Changes`."""
    hidden: dict[Requirement, list[Place]] = field(default_factory=dict)
    """Lists within the answer, which no argument makes shorter."""

    def add(self, needed: Requirement, names: Iterable[str]) -> None:
        """Note which names are left of a list."""
        self.resources.add(needed.qualified_resource)
        self.names.update(names)


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
        reading = Reading(self.objects, found.route, request=request, parameters=found.parameters)
        less = _Less()
        for needed, asked in demanded(self.guarded, calls):
            broad = self.demand.broad(needed)
            if await self.demand.allowed(broad):
                continue
            if not nameable(needed) or (needed.listing is not None and request.method == "HEAD"):
                # The Content-Length of a HEAD would tell how much is hidden.
                raise forbidden(self.demand.caller.user, broad)
            await self.demand.opened(broad)
            call = asked.changed(less.changes)
            if needed.listing is None:
                await self.demand.fulfil_by_names(needed, Arguments(call))
            elif needed.names[0].origin is Origin.RESPONSE and needed.listing.clause is None:
                less.hidden.setdefault(needed, []).append(place_of(needed, call, calls))
            else:
                await self._narrow(self.demand.listing(needed, reading, request=request), call, less)
        answer = [
            await self._kept(self.demand.listing(needed, reading, request=request), places, less)
            for needed, places in less.hidden.items()
        ]
        if less.resources:
            self.demand.verdict.narrowing = Narrowing(
                ", ".join(sorted(less.resources)),
                tuple(sorted(less.names)),
                request=await self._rewritten(calls, less.changes, request),
                answer=answer[0] if answer else None,
            )
        if not self.demand.verdict.checks:
            await self._demand_any_right()

    async def _narrow(self, listing: ListDemand, call: FieldCall, less: _Less) -> None:
        """Have the field find what may be seen and nothing else. Raises ``ForbiddenError`` where that is
        nothing, or cannot be said in MLflow's request."""
        source, clause = listing.needed.names[0], listing.clause
        names: Iterable[str]
        change: dict[str, Any] = {}
        if clause is not None:
            names = await listing.confirmed()
            theirs = (call.arguments.get(INPUT) or {}).get(clause.field, "")
            text = await self.objects.narrowed_filter(call.operation, clause, names, theirs)
            if text is None:
                raise _too_much(call)
            change = {clause.field: text}
        else:
            values = await Arguments(call).values(source, complete=True)
            kept = await listing.kept(source, values)
            names = kept.values()
            if len(kept) < len(values):
                change = {source.field.partition(".")[2].removesuffix("[]"): list(kept)}
        less.add(listing.needed, names)
        if change:
            less.changes[call.path[0]] = change

    async def _kept(self, listing: ListDemand, places: list[Place], less: _Less) -> ElementFilter:
        """Keep lists within the answer to what may be seen, which may be nothing: they are not asked for
        by themselves."""
        try:
            names = frozenset((await listing.visible()).values())
        except ForbiddenError:
            names = frozenset()
        less.add(listing.needed, names)
        return ElementFilter(tuple(places), names)

    async def _rewritten(
        self, calls: Sequence[FieldCall], changes: Changes, request: AccessRequest
    ) -> Replacement | None:
        """The request with ``changes``, read back as MLflow will read it; None where there are none."""
        body = await request.body.read()
        if not changes or body is None:
            return None
        content = await self.objects.changed_document(
            changes, method=request.method, query=request.query, headers=request.headers, body=body
        )
        written = Replacement(content, content_type=b"application/json")
        read = await self.objects.document(
            method=request.method,
            query=request.query,
            headers=written.headers(request.headers),
            body=content,
        )
        if list(read) != [call.changed(changes) for call in calls]:
            raise BadRequestError("This GraphQL document is refused: it cannot be kept to what you may see.")
        return written

    async def _demand_any_right(self) -> None:
        broad = self.demand.broad(self.guarded.requirements[0])
        if not await self.demand.authorizer.holds_any_right(self.demand.caller, broad.namespace):
            raise forbidden(self.demand.caller.user, broad)


def demanded(guarded: Guarded, calls: Sequence[FieldCall]) -> list[tuple[Requirement, FieldCall]]:
    """Each requirement with each place at which it holds, in the catalog's order.

    Raises :class:`ForbiddenError` if the document has MLflow compute a field that the catalog does not know.
    """
    known = {requirement.graphql_field for requirement in guarded.requirements} | set(
        guarded.unguarded_fields
    )
    for call in calls:
        if call.computed and call.field not in known:
            raise ForbiddenError(
                f"No rule of workspace-authz covers the GraphQL field {call.field}, so it is refused."
            )
    return [
        (requirement, call)
        for requirement in guarded.requirements
        for call in calls
        if call.field == requirement.graphql_field
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


def _too_much(call: FieldCall) -> ForbiddenError:
    return ForbiddenError(
        f"The GraphQL field {call.field} cannot be kept to those objects that you hold rights on: MLflow "
        "takes a list of 300 names there, and none before 3.17. Use the REST API, which is kept to them."
    )
