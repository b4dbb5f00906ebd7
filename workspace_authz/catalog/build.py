"""The small words in which the route tables are written. All of them are pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from workspace_authz.catalog.listing import Clause, Listing
from workspace_authz.catalog.model import (
    Guarded,
    Identifier,
    Mount,
    NameSource,
    Origin,
    Policy,
    Requirement,
    Restriction,
    Route,
    Server,
)
from workspace_authz.types import USE, Resource, Verb

Demand = Policy | Requirement
"""What a route asks for: a policy, or one requirement that guards it."""


def body(field: str, identifies: Identifier = Identifier.NAME, *aliases: str) -> NameSource:
    """A field of the RPC's message (query string of a GET, else JSON body)."""
    return NameSource(Origin.BODY, field, identifies, aliases)


def path(field: str, identifies: Identifier = Identifier.NAME) -> NameSource:
    """A parameter of the path."""
    return NameSource(Origin.PATH, field, identifies)


def query(field: str, identifies: Identifier = Identifier.NAME, *aliases: str) -> NameSource:
    """A parameter of the query string, whatever the method."""
    return NameSource(Origin.QUERY, field, identifies, aliases)


def header(field: str, identifies: Identifier) -> NameSource:
    """A request header."""
    return NameSource(Origin.HEADER, field, identifies)


def spans(field: str, identifies: Identifier) -> NameSource:
    """A field of the spans in an OTLP export."""
    return NameSource(Origin.SPANS, field, identifies)


def response(field: str, identifies: Identifier = Identifier.NAME) -> NameSource:
    """A field of MLflow's answer."""
    return NameSource(Origin.RESPONSE, field, identifies)


def graphql(field: str, identifies: Identifier = Identifier.NAME, *aliases: str) -> NameSource:
    """An argument of a field in a GraphQL document."""
    return NameSource(Origin.GRAPHQL, field, identifies, aliases)


def right(
    verb: Verb,
    resource: Resource,
    *names: NameSource,
    when_present: bool = False,
    unless_present: bool = False,
) -> Requirement:
    """One right on one resource."""
    return Requirement(verb, resource, names=names, when_present=when_present, unless_present=unless_present)


def experiments(
    verb: Verb, *names: NameSource, when_present: bool = False, unless_present: bool = False
) -> Requirement:
    """A right on experiments, and so on the runs, traces, logged models and scorers in them."""
    return right(verb, Resource.EXPERIMENTS, *names, when_present=when_present, unless_present=unless_present)


def models(verb: Verb, *names: NameSource, when_present: bool = False) -> Requirement:
    """A right on registered models and prompts, and so on their versions."""
    return right(verb, Resource.REGISTERED_MODELS, *names, when_present=when_present)


def search(
    resource: Resource, found: NameSource, *, key: str = "name", filtered_by: str = "filter"
) -> Requirement:
    """A paged list of all that there is, with a filter of the caller's."""
    listing = Listing(clause=Clause(filtered_by, key), paged=True)
    return Requirement(Verb.LIST, resource, names=(found,), listing=listing)


def listed(
    verb: Verb, resource: Resource, *names: NameSource, inject: str = "", paged: bool = False
) -> Requirement:
    """A list of what the request names, or of all that there is if it names nothing."""
    return Requirement(verb, resource, names=names, listing=Listing(inject=inject, paged=paged))


EXPERIMENT: Final = body("experiment_id", Identifier.EXPERIMENT_ID)
"""The experiment that a request names."""


def use(resource: Resource, *names: NameSource, when_present: bool = False) -> Requirement:
    """The right to let the server act with a gateway object: ``create`` on its subresource ``use``."""
    return Requirement(Verb.CREATE, resource, USE, names, when_present)


def linked(requirement: Requirement) -> Requirement:
    """The right on an object that MLflow would link whatever its workspace, if the request names one."""
    return replace(requirement, when_present=True, own=True)


def all_of(*requirements: Requirement) -> Guarded:
    """Every one of them; the first names the object that the route is about."""
    return Guarded(requirements)


def rpc(
    method: str, path: str, operation: str, demand: Demand, *, server: Server = Server.FLASK
) -> tuple[Route, ...]:
    """One operation below ``/api`` (clients) and ``/ajax-api`` (the UI); ``path`` starts with the version."""
    return tuple(
        plain(method, f"/{base}/{path}", operation, demand, server=server)[0] for base in ("api", "ajax-api")
    )


def ajax(
    method: str, path: str, operation: str, demand: Demand, *, server: Server = Server.FLASK
) -> tuple[Route, ...]:
    """One operation below ``/ajax-api`` only."""
    return plain(method, f"/ajax-api/{path}", operation, demand, server=server)


def plain(
    method: str,
    path: str,
    operation: str,
    demand: Demand,
    *,
    server: Server = Server.FLASK,
    mount: Mount = Mount.PREFIXED,
    since: str = "",
) -> tuple[Route, ...]:
    """One operation at this path."""
    policy = Guarded((demand,)) if isinstance(demand, Requirement) else demand
    return (Route(method, path, operation, policy, server, mount, since=since),)


def restricted(restriction: Restriction, routes: Iterable[Route]) -> tuple[Route, ...]:
    """The routes, each with one more restriction on what it may contain."""
    return tuple(replace(route, restrictions=(*route.restrictions, restriction)) for route in routes)
