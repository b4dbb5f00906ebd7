"""What a request must be allowed: each requirement by the right on all objects, or else by name."""

from __future__ import annotations

from dataclasses import dataclass

from workspace_authz.catalog.graphql import FieldCall
from workspace_authz.catalog.model import Guarded, Requirement
from workspace_authz.effects.effects import Narrowing
from workspace_authz.errors import ForbiddenError, MissingError
from workspace_authz.pipeline.case import Case
from workspace_authz.pipeline.documents import KeptDocument, field_demands
from workspace_authz.pipeline.lists import ListNarrowing
from workspace_authz.pipeline.naming import applies, nameable, names_of, require_names


@dataclass(frozen=True, slots=True)
class Demand:
    """One requirement that holds for this request."""

    needed: Requirement
    call: FieldCall | None = None
    """The place in a GraphQL document at which it holds."""


async def possible_demands(guarded: Guarded, case: Case) -> list[Demand]:
    """The requirements that can hold for this request, in the catalog's order.

    Raises :class:`RequestError` for a GraphQL document that MLflow would not execute, or with a field that
    the catalog does not know.
    """
    if guarded.by_document and case.reader.has_mlflow:
        calls = await case.reader.calls()
        return [Demand(needed, call) for needed, call in field_demands(guarded, calls)]
    return [Demand(needed) for needed in guarded.requirements]


class Fulfilment:
    """How the demands of one request are fulfilled, and how its lists are narrowed for that."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._narrowing: Narrowing | None = None
        self._document: KeptDocument | None = None

    async def holds(self, demand: Demand) -> bool:
        """Whether the requirement holds. A body is read for it only now, if at all."""
        return demand.call is not None or await applies(demand.needed, self._case.reader)

    async def refuse_nothing(self, guarded: Guarded) -> None:
        """Raise :class:`ForbiddenError` for a request that has demanded no right.

        A GraphQL document that touches nothing is for holders of any right.
        """
        rights = self._case.rights
        if rights.asked:
            return
        if not guarded.by_document:
            raise ForbiddenError("This request names nothing that could be allowed.")
        if not await rights.holds_any():
            raise rights.forbidden(rights.broad(guarded.requirements[0]))

    async def by_broad_right(self, demand: Demand) -> bool:
        """Ask for the right on all objects. False where objects must be looked up before it is clear.

        Raises :class:`ForbiddenError` where no right on single objects can replace the missing one.
        """
        rights, broad = self._case.rights, self._case.rights.broad(demand.needed)
        if await rights.allowed(broad):
            return not (demand.needed.same_workspace and self._case.store is not None)
        if not self._may_be_named(demand):
            raise rights.forbidden(broad)
        return False

    def _may_be_named(self, demand: Demand) -> bool:
        """Whether rights on single objects could do. The length of a HEAD would tell how much is hidden."""
        case = self._case
        if case.store is None or not case.reader.has_mlflow or not nameable(demand.needed):
            return False
        return demand.needed.listing is None or (case.lists is not None and case.request.method != "HEAD")

    async def by_names(self, demand: Demand) -> None:
        """Look up what the request is about and ask by name.

        Raises :class:`ForbiddenError` for an object that the caller holds no right on, and
        :class:`MissingError` for an object of another workspace.
        """
        case, needed = self._case, demand.needed
        if await case.rights.allowed(case.rights.broad(needed)):
            await self._refuse_foreign(needed)
        elif demand.call is not None:
            if self._document is None:
                self._document = KeptDocument(case, await case.reader.calls())
            await self._document.keep(needed, demand.call)
        elif needed.listing is not None:
            self._narrowing = await ListNarrowing(needed, case).narrowed()
        else:
            await require_names(needed, case.reader, case=case)

    async def narrowing(self) -> Narrowing | None:
        """How a list is kept to what the caller may see, if it is. Raises :class:`RequestError`."""
        return await self._document.narrowing() if self._document is not None else self._narrowing

    async def _refuse_foreign(self, needed: Requirement) -> None:
        """Refuse an object of another workspace in the words of one that is nowhere."""
        if await names_of(needed, self._case.reader, case=self._case) is None:
            raise MissingError(
                f"The request refers to something that is not in workspace '{self._case.rights.namespace}'."
            )
