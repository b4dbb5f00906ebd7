"""Functions in which the route tables are written. All of them are pure."""

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

Rule = Policy | Requirement
"""The rule for a route: a policy, or one requirement that guards it."""


def body(field: str, identifies: Identifier = Identifier.NAME, *aliases: str) -> NameSource:
    """A field of the RPC's message: the query string of a GET, otherwise the JSON body."""
    return NameSource(Origin.BODY, field, identifies, aliases)


def path(field: str, identifies: Identifier = Identifier.NAME) -> NameSource:
    """A parameter of the path."""
    return NameSource(Origin.PATH, field, identifies)


def query(field: str, identifies: Identifier = Identifier.NAME, *aliases: str) -> NameSource:
    """A parameter of the query string, for any method."""
    return NameSource(Origin.QUERY, field, identifies, aliases)


def header(field: str, identifies: Identifier) -> NameSource:
    """A request header."""
    return NameSource(Origin.HEADER, field, identifies)


def spans(field: str, identifies: Identifier) -> NameSource:
    """A field of the spans in an OTLP export."""
    return NameSource(Origin.SPANS, field, identifies)


def response(field: str, identifies: Identifier = Identifier.NAME) -> NameSource:
    """A field of MLflow's response."""
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
    """A right on experiments, which covers the runs, traces, logged models and scorers in them."""
    return right(verb, Resource.EXPERIMENTS, *names, when_present=when_present, unless_present=unless_present)


def models(verb: Verb, *names: NameSource, when_present: bool = False) -> Requirement:
    """A right on registered models and prompts, which covers their versions."""
    return right(verb, Resource.REGISTERED_MODELS, *names, when_present=when_present)


def search(
    resource: Resource, found: NameSource, *, key: str = "name", filtered_by: str = "filter"
) -> Requirement:
    """A paged list of all objects of ``resource``, with a filter that the caller may send.

    ``found`` is the field of the response that identifies an object.
    """
    listing = Listing(clause=Clause(filtered_by, key), paged=True)
    return Requirement(Verb.LIST, resource, names=(found,), listing=listing)


def listed(
    verb: Verb, resource: Resource, *names: NameSource, inject: str = "", paged: bool = False
) -> Requirement:
    """A list of the objects that the request names, or of all objects when it names none."""
    return Requirement(verb, resource, names=names, listing=Listing(inject=inject, paged=paged))


EXPERIMENT: Final = body("experiment_id", Identifier.EXPERIMENT_ID)
"""The experiment that a request names."""


def use(resource: Resource, *names: NameSource, when_present: bool = False) -> Requirement:
    """The right to use a gateway object: the verb ``create`` on its subresource ``use``."""
    return Requirement(Verb.CREATE, resource, USE, names=names, when_present=when_present)


def linked(requirement: Requirement) -> Requirement:
    """The right on an object that the request links, if it names one.

    MLflow would link an object of any workspace, so the object must be of this workspace.
    """
    return replace(requirement, when_present=True, same_workspace=True)


def all_of(*requirements: Requirement) -> Guarded:
    """All of ``requirements``. The first one names the object that the route is about."""
    return Guarded(requirements)


def rpc(
    method: str,
    path: str,
    operation: str,
    rule: Rule,
    *,
    server: Server = Server.FLASK,
    since: str = "",
) -> tuple[Route, ...]:
    """One operation below ``/api`` (clients) and ``/ajax-api`` (the UI). ``path`` begins with the version."""
    return tuple(
        at_path(method, f"/{base}/{path}", operation, rule, server=server, since=since)[0]
        for base in ("api", "ajax-api")
    )


def ajax(
    method: str,
    path: str,
    operation: str,
    rule: Rule,
    *,
    server: Server = Server.FLASK,
    since: str = "",
) -> tuple[Route, ...]:
    """One operation below ``/ajax-api`` only. ``path`` begins with the version."""
    return at_path(method, f"/ajax-api/{path}", operation, rule, server=server, since=since)


def at_path(
    method: str,
    path: str,
    operation: str,
    rule: Rule,
    *,
    server: Server = Server.FLASK,
    mount: Mount = Mount.PREFIXED,
    since: str = "",
) -> tuple[Route, ...]:
    """One operation at exactly this path. ``since`` is the MLflow release that introduced it."""
    policy = Guarded((rule,)) if isinstance(rule, Requirement) else rule
    return (Route(method, path, operation, policy, server=server, mount=mount, since=since),)


def restricted(restriction: Restriction, routes: Iterable[Route]) -> tuple[Route, ...]:
    """The routes, each with ``restriction`` added."""
    return tuple(replace(route, restrictions=(*route.restrictions, restriction)) for route in routes)
