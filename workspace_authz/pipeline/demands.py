"""What a request must be allowed: first by rights on all objects, then, where these are missing, by name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from workspace_authz.catalog.graphql import FieldCall
from workspace_authz.catalog.model import Guarded, Requirement
from workspace_authz.effects.effects import Narrowing
from workspace_authz.errors import ForbiddenError, MissingError
from workspace_authz.pipeline.case import Case
from workspace_authz.pipeline.documents import field_demands, kept_document
from workspace_authz.pipeline.lists import ListNarrowing
from workspace_authz.pipeline.naming import applies, nameable, names_of, require_names


@dataclass(frozen=True, slots=True)
class Demand:
    """One requirement that holds for this request."""

    needed: Requirement
    call: FieldCall | None = None
    """The place in a GraphQL document at which it holds."""


@dataclass(frozen=True, slots=True)
class OpenDemands:
    """What the broad rights left open."""

    by_name: tuple[Demand, ...] = ()
    """The broad right is missing: each object that is named must be allowed."""
    foreign_possible: tuple[Demand, ...] = ()
    """The broad right is there, and MLflow would take an object of another workspace."""

    def __bool__(self) -> bool:
        return bool(self.by_name or self.foreign_possible)


async def ask_broadly(guarded: Guarded, case: Case) -> OpenDemands:
    """Ask for the right on all objects, requirement by requirement. Looks nothing up.

    Raises :class:`ForbiddenError` where a right is missing that no right on single objects can replace: the
    first in the catalog's order is told.
    """
    by_name: list[Demand] = []
    foreign_possible: list[Demand] = []
    applied = False
    async for demand in _demands(guarded, case):
        applied = True
        broad = case.rights.broad(demand.needed)
        if await case.rights.allowed(broad):
            if demand.needed.same_workspace and case.store is not None:
                foreign_possible.append(demand)
        elif _may_be_named(demand, case):
            by_name.append(demand)
        else:
            raise case.rights.forbidden(broad)
    if not applied:
        await _refuse_nothing(guarded, case)
    return OpenDemands(tuple(by_name), tuple(foreign_possible))


async def _demands(guarded: Guarded, case: Case) -> AsyncIterator[Demand]:
    """Lazily: a body is read only for a caller whom the requirements before have not refused."""
    if guarded.by_document and case.reader.has_mlflow:
        for needed, call in field_demands(guarded, await case.reader.calls()):
            yield Demand(needed, call)
        return
    for needed in guarded.requirements:
        if await applies(needed, case.reader):
            yield Demand(needed)


def _may_be_named(demand: Demand, case: Case) -> bool:
    """Whether rights on single objects could do. The Content-Length of a HEAD tells how much is hidden."""
    if case.store is None or not case.reader.has_mlflow or not nameable(demand.needed):
        return False
    return demand.needed.listing is None or (case.lists is not None and case.request.method != "HEAD")


async def _refuse_nothing(guarded: Guarded, case: Case) -> None:
    """A request about no object is refused; a document that touches nothing is for holders of any right."""
    if not guarded.by_document:
        raise ForbiddenError("This request names nothing that could be allowed.")
    if not await case.rights.holds_any():
        raise case.rights.forbidden(case.rights.broad(guarded.requirements[0]))


async def ask_by_name(left: OpenDemands, case: Case) -> Narrowing | None:
    """Look up what the broad rights left open and ask by name. Returns how a list is narrowed, if one is.

    Raises :class:`ForbiddenError` for an object that the caller holds no right on, and
    :class:`MissingError` for an object of another workspace.
    """
    for demand in left.foreign_possible:
        await _refuse_foreign(demand.needed, case)
    calls = [(demand.needed, demand.call) for demand in left.by_name if demand.call is not None]
    if calls:
        return await kept_document(calls, case)
    narrowing: Narrowing | None = None
    for demand in left.by_name:
        if demand.needed.listing is None:
            await require_names(demand.needed, case.reader, case=case)
        else:
            narrowing = await ListNarrowing(demand.needed, case).narrowed()
    return narrowing


async def _refuse_foreign(needed: Requirement, case: Case) -> None:
    """Refuse an object of another workspace in the words of one that is nowhere."""
    if await names_of(needed, case.reader, case=case) is None:
        raise MissingError(
            f"The request refers to something that is not in workspace '{case.rights.namespace}'."
        )
