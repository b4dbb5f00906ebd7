"""GraphQL: each field that a document makes MLflow compute demands its own right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from workspace_authz.catalog.graphql import INPUT, FieldCall
from workspace_authz.catalog.model import Guarded, Origin, Requirement
from workspace_authz.effects.effects import Narrowing
from workspace_authz.effects.graphql_answers import ElementFilter, Place
from workspace_authz.effects.rewriting import RequestReplacement
from workspace_authz.errors import BadRequestError, ForbiddenError
from workspace_authz.mlflow_adapter.reading.reader import Arguments
from workspace_authz.mlflow_adapter.reading.request import GRAPHQL_BYTES
from workspace_authz.pipeline.case import Case
from workspace_authz.pipeline.lists import ListNarrowing
from workspace_authz.pipeline.naming import require_names


def field_demands(guarded: Guarded, calls: Sequence[FieldCall]) -> list[tuple[Requirement, FieldCall]]:
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


@dataclass(slots=True)
class KeptDocument:
    """A document that is kept to what the caller may see, field by field."""

    case: Case
    calls: Sequence[FieldCall]
    resources: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """See :data:`workspace_authz.catalog.graphql.Changes`."""
    filtered: dict[Requirement, list[Place]] = field(default_factory=dict)
    """Lists within the answer, which no argument makes shorter."""

    async def keep(self, needed: Requirement, asked: FieldCall) -> None:
        """Demand one requirement at one place. Raises :class:`RequestError`."""
        # As it will be asked: what was narrowed before counts.
        call = asked.changed(self.changes)
        if needed.listing is None:
            await require_names(needed, Arguments(call), case=self.case)
        elif needed.names[0].origin is Origin.RESPONSE and needed.listing.clause is None:
            self.filtered.setdefault(needed, []).append(_place_of(needed, call, among=self.calls))
        else:
            await self._narrow(ListNarrowing(needed, self.case), call)

    async def _narrow(self, listing: ListNarrowing, call: FieldCall) -> None:
        """Have the field find what may be seen and nothing else.

        Raises :class:`ForbiddenError` where that is nothing, or cannot be said in MLflow's request.
        """
        source, clause = listing.needed.names[0], listing.clause
        names: Iterable[str]
        change: dict[str, Any] = {}
        if clause is not None:
            names = await listing.confirmed()
            theirs = (call.arguments.get(INPUT) or {}).get(clause.field, "")
            text = await self.case.reader.reading.narrowed_filter(
                call.operation, clause, values=tuple(names), theirs=theirs
            )
            if text is None:
                raise _cannot_be_kept(call)
            change = {clause.field: text}
        else:
            values = await Arguments(call).values(source, complete=True)
            kept = await listing.kept(source, values)
            names = kept.values()
            if len(kept) < len(values):
                change = {source.field.partition(".")[2].removesuffix("[]"): list(kept)}
        self._note(listing.needed, names)
        if change:
            self.changes[call.path[0]] = change

    async def narrowing(self) -> Narrowing | None:
        """What becomes of the document and its answer."""
        answers = [await self._answer_filter(needed, places) for needed, places in self.filtered.items()]
        if not self.resources:
            return None
        return Narrowing(
            ", ".join(sorted(self.resources)),
            tuple(sorted(self.names)),
            request=await self._rewritten(),
            answer=answers[0] if answers else None,
        )

    async def _answer_filter(self, needed: Requirement, places: list[Place]) -> ElementFilter:
        """Lists within the answer may be empty: they are not asked for by themselves."""
        try:
            visible = await ListNarrowing(needed, self.case).visible()
        except ForbiddenError:
            visible = {}
        names = frozenset(visible.values())
        self._note(needed, names)
        return ElementFilter(tuple(places), names)

    async def _rewritten(self) -> RequestReplacement | None:
        """The request with the changes, read back as MLflow will read it; None where there are none."""
        request, reading = self.case.request, self.case.reader.reading
        body = await request.body.read(GRAPHQL_BYTES)
        if not self.changes or body is None:
            return None
        content = await reading.changed_document(
            self.changes, method=request.method, query=request.query, headers=request.headers, body=body
        )
        written = RequestReplacement(content, content_type=b"application/json")
        read = await reading.document(
            method=request.method,
            query=request.query,
            headers=written.headers(request.headers),
            body=content,
        )
        if list(read) != [call.changed(self.changes) for call in self.calls]:
            raise BadRequestError("This GraphQL document is refused: it cannot be kept to what you may see.")
        return written

    def _note(self, needed: Requirement, names: Iterable[str]) -> None:
        self.resources.add(needed.qualified_resource)
        self.names.update(names)


def _place_of(needed: Requirement, call: FieldCall, *, among: Sequence[FieldCall]) -> Place:
    """Where the answer will have the list of ``call``, and its elements the field that names them."""
    elements = (*call.path, "[]")
    shown = [each for each in among if each.path[:-1] == elements]
    names = (each.path[-1] for each in shown if each.field.partition(".")[2] == needed.names[0].field)
    return Place(call.path, tuple(names))


def _cannot_be_kept(call: FieldCall) -> ForbiddenError:
    return ForbiddenError(
        f"The GraphQL field {call.field} cannot be kept to those objects that you hold rights on: MLflow "
        "takes a list of 300 names there, and none before 3.17. Use the REST API, which is kept to them."
    )
