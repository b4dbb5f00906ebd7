"""A list for a caller who may not see all of it: what they may see, and how the list is kept to that.

Where the request names objects, each is asked about, as for any other request. Where it asks for all that
there are, the names to ask about come from :mod:`workspace_authz.authorizer.named_rights`, as far as objects
bear them. What is not confirmed by the API server is not listed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from workspace_authz.catalog.listing import Clause, Listing
from workspace_authz.catalog.model import Identifier, NameSource, Origin, Requirement, Server
from workspace_authz.effects.effects import Narrowing
from workspace_authz.effects.lists import AnswerFilter, Pages
from workspace_authz.effects.page_tokens import PAGE_TOKEN, ListQuery, position_of, refuse_ours
from workspace_authz.effects.rewriting import Fields, RequestReplacement, as_request, keeping
from workspace_authz.errors import BadRequestError, ForbiddenError
from workspace_authz.pipeline.case import Case, ListRights
from workspace_authz.types import Attributes

MOST_NAMES: Final = 1000
"""Objects with a name that a caller holds the right on, in one list."""
_UNUSED_NAMES: Final = 32
"""Names without an object that are asked about, to tell an empty list from a refusal."""


@dataclass(frozen=True, slots=True)
class ListNarrowing:
    """One list that a caller without the broad right asked for, with MLflow at hand."""

    needed: Requirement
    case: Case

    async def narrowed(self) -> Narrowing:
        """How the list is kept to what the caller may see.

        Raises :class:`ForbiddenError` when the caller may see nothing.
        """
        for source in self.needed.names:
            if source.origin is Origin.RESPONSE:
                return await self._of_all(source)
            values = await self.case.reader.values(source, complete=True)
            if values:
                return await self._of_those(source, values)
        raise self.case.rights.forbidden(self.broad)

    async def _of_those(self, source: NameSource, values: Collection[str]) -> Narrowing:
        """The request names objects: those that may not be seen are taken out."""
        kept = await self.kept(source, values)
        narrowing = Narrowing(self.broad.qualified_resource, tuple(sorted(set(kept.values()))))
        if len(kept) == len(values):
            return narrowing
        fields = keeping(await self.case.reader.fields(), source.field, allowed=kept)
        return replace(narrowing, request=await self._proved(fields))

    async def kept(self, source: NameSource, values: Collection[str]) -> Mapping[str, str]:
        """Those of ``values`` that lead to what may be seen, with its names. Never empty.

        Raises :class:`ForbiddenError`.
        """
        by_name = source.identifies is Identifier.NAME
        named = {value: value for value in values} if by_name else await self._names(source, values)
        allowed = await self.case.rights.allowed_names(
            self.broad, sorted(set(named.values())), looked_up=not by_name
        )
        kept = {value: named[value] for value in values if named.get(value) in allowed}
        if not kept:
            raise self.case.rights.forbidden(self.broad)
        return kept

    async def _names(self, source: NameSource, values: Collection[str]) -> Mapping[str, str]:
        return await self.case.objects.names(
            values,
            resource=self.broad.resource,
            identifier=source.identifies,
            workspace=self.broad.namespace,
        )

    async def _of_all(self, found: NameSource) -> Narrowing:
        """The request asks for everything: it becomes one for what may be seen."""
        there = await self.visible()
        names = tuple(sorted(set(there.values())))
        identities = names if found.identifies is Identifier.NAME else tuple(sorted(there))
        narrowing = Narrowing(self.broad.qualified_resource, names)
        fields = await self._narrower(identities)
        if fields is not None:
            return replace(narrowing, request=await self._proved(fields))
        return replace(narrowing, answer=await self._filter(found, frozenset(identities)))

    async def visible(self) -> Mapping[str, str]:
        """The names of the objects that may be seen, by id.

        May be empty: the caller holds a right on a name that no object bears. Raises
        :class:`ForbiddenError` for a caller who holds none.
        """
        there, confirmed = await self._confirmed()
        return {key: name for key, name in there.items() if name in confirmed}

    async def confirmed(self) -> tuple[str, ...]:
        """The names of what may be seen, or some that no object bears where that is nothing.

        Raises as :meth:`visible`.
        """
        return tuple(sorted((await self._confirmed())[1]))

    async def _confirmed(self) -> tuple[Mapping[str, str], frozenset[str]]:
        rights = self.case.rights
        candidates = await self._lists.named.candidates(rights.caller, self.broad)
        if candidates is None:
            raise _names_unknown(rights.forbidden(self.broad))
        there = await self.case.objects.named(self.broad.resource, candidates, workspace=self.broad.namespace)
        names = set(there.values())
        if len(names) > MOST_NAMES:
            raise ForbiddenError(
                f"You hold rights on more than {MOST_NAMES} single {self.broad.resource}, which is more than "
                "a list is kept to. Ask an administrator of the namespace for the right on all of them."
            )
        allowed = await self._allowed(names)
        if not allowed:
            allowed = await self._allowed(sorted(candidates - names)[:_UNUSED_NAMES])
        if not allowed:
            raise rights.forbidden(self.broad)
        return there, allowed

    async def _allowed(self, names: Collection[str]) -> frozenset[str]:
        return await self.case.rights.allowed_names(self.broad, sorted(names), looked_up=True)

    async def _narrower(self, identities: tuple[str, ...]) -> Fields | None:
        """The fields of a request that finds no others; None where MLflow's request cannot say that."""
        listing, reader, route = self._listing, self.case.reader, self.case.route
        if listing.inject and identities and reader.reading.has_field(route, listing.inject):
            fields = await reader.fields()
            # A list that is sent empty, as FastAPI reads it, asks for nothing.
            return (
                fields if fields.get(listing.inject) == "" else {**fields, listing.inject: list(identities)}
            )
        if listing.clause is None or not identities:
            return None
        fields = await reader.fields()
        text = await reader.reading.narrowed_filter(
            route.operation, listing.clause, values=identities, theirs=_text(fields, listing.clause)
        )
        if text is None:
            return None
        refuse_ours(fields)
        return {**fields, listing.clause.field: text}

    async def _filter(self, found: NameSource, allowed: Collection[str]) -> AnswerFilter:
        items, _, identity = found.field.partition("[].")
        pages = await self._pages() if self._listing.paged else None
        return AnswerFilter(
            items, tuple(identity.split(".")), allowed, pages, organization=found.organization
        )

    async def _pages(self) -> Pages:
        fields, user, cipher = await self.case.reader.fields(), self.case.rights.user, self._lists.cipher
        query = ListQuery(
            username=user.username,
            uid=user.uid,
            workspace=self.broad.namespace,
            operation=self.case.route.operation,
            fields=fields,
        )
        bound_to = query.digest()
        start = position_of(fields, cipher, bound_to=bound_to)
        others = {name: value for name, value in fields.items() if name != PAGE_TOKEN}
        return Pages(others, start, cipher, bound_to)

    async def _proved(self, fields: Fields) -> RequestReplacement:
        """The request of ``fields``, read back as MLflow will read it."""
        request = self.case.request
        written = as_request(request.method, fields)
        read = await self.case.reader.reading.message(
            self.case.route,
            method=request.method,
            query=written.query or b"",
            headers=written.headers(request.headers),
            body=written.content,
        )
        if read != _as_read(fields, self.case.route.server):
            raise BadRequestError("This request is refused: it cannot be kept to what you may see.")
        return written

    @property
    def broad(self) -> Attributes:
        """The right on all objects, which the caller lacks."""
        return self.case.rights.broad(self.needed)

    @property
    def clause(self) -> Clause | None:
        """How MLflow's filter can say what may be seen, if it can."""
        return self._listing.clause

    @property
    def _lists(self) -> ListRights:
        if self.case.lists is None:
            raise TypeError("lists are for broad rights only here")
        return self.case.lists

    @property
    def _listing(self) -> Listing:
        if self.needed.listing is None:
            raise TypeError("the requirement is of no list")
        return self.needed.listing


def _as_read(fields: Fields, server: Server) -> Fields:
    """``fields`` as they are read back: to FastAPI's query strings a list of one is the one."""
    if server is Server.FLASK:
        return fields
    return {
        name: value[0] if isinstance(value, list) and len(value) == 1 else value
        for name, value in fields.items()
    }


def _text(fields: Fields, clause: Clause) -> str:
    text = fields.get(clause.field, "")
    if not isinstance(text, str):
        raise BadRequestError(f"{clause.field} must be one text.")
    return text


def _names_unknown(refusal: ForbiddenError) -> ForbiddenError:
    return ForbiddenError(
        f"{refusal.message} Rights on single objects cannot be looked up here, because the authorizers of "
        "this cluster do not list them; an object can still be asked for by its name."
    )
