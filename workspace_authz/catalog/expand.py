"""The compiled catalog as a table: one line per method and path, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from workspace_authz.catalog.entries import Entry
from workspace_authz.catalog.model import (
    AnyRight,
    Authenticated,
    Guarded,
    NameSource,
    Origin,
    Policy,
    Public,
    Refused,
    Requirement,
)


def as_text(entries: Iterable[Entry]) -> str:
    """One aligned line per entry: method, path, what it demands. Further requirements follow a ``+``.

    Restrictions on what the request may contain and where the caller is written follow a semicolon each.
    What the fields of a GraphQL document demand follows in lines of their own, the field in the path's place.
    """
    rows = [row for entry in entries for row in _rows(entry)]
    methods = max((len(method) for method, _, _ in rows), default=0)
    paths = max((len(path) for _, path, _ in rows), default=0)
    return "".join(f"{method:<{methods}}  {path:<{paths}}  {demand}\n" for method, path, demand in rows)


def as_json(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """The same as plain values."""
    return [
        {
            "method": entry.method,
            "path": entry.path,
            "operation": entry.route.operation,
            "server": str(entry.server),
            **_policy(entry.route.policy, entry.method),
            "restrictions": [str(restriction) for restriction in entry.route.restrictions],
            "stamps": [str(stamp) for stamp in entry.route.stamps],
        }
        for entry in entries
    ]


def _rows(entry: Entry) -> Iterator[tuple[str, str, str]]:
    policy = entry.route.policy
    if not isinstance(policy, Guarded) or not policy.by_document:
        yield entry.method, entry.path, _demand(entry, describe(policy, entry.method))
        return
    yield entry.method, entry.path, _demand(entry, "for each field in the document that is executed:")
    for each in policy.requirements:
        yield "", f"  {each.at}", _requirement(each, entry.method)
    for field in policy.free:
        yield "", f"  {field}", "nothing of its own"
    yield "", "  any other computed field", "refused"


def _demand(entry: Entry, demand: str) -> str:
    restrictions = ", ".join(map(str, entry.route.restrictions))
    stamps = ", ".join(map(str, entry.route.stamps))
    return "; ".join(
        (
            demand,
            *([f"only with {restrictions}"] if restrictions else []),
            *([f"by the caller: {stamps}"] if stamps else []),
        )
    )


def describe(policy: Policy, method: str) -> str:
    """A policy on one line, with name sources as a request of ``method`` has them."""
    match policy:
        case Public():
            return "public"
        case Authenticated(reason=reason):
            return f"authenticated: {reason}"
        case AnyRight(listing=True):
            return "any right, in each workspace listed"
        case AnyRight(parameter=parameter):
            return f"any right in the workspace path:{parameter}"
        case Refused(reason=reason):
            return f"refused: {reason}"
        case Guarded(requirements=requirements):
            return " + ".join(
                f"{_requirement(each, method)}{f' at {each.at}' if each.at else ''}" for each in requirements
            )


def _requirement(requirement: Requirement, method: str) -> str:
    names = ", ".join(_source(source, method) for source in requirement.names)
    condition = _condition(requirement)
    text = f"{requirement.verb} {requirement.qualified_resource}"
    own = ", of this workspace" if requirement.own else ""
    listing = f" {requirement.listing}" if requirement.listing else ""
    return f"{text}{f' ({names})' if names else ''}{f' if {condition}' if condition else ''}{own}{listing}"


def _condition(requirement: Requirement) -> str:
    return "present" if requirement.when_present else "absent" if requirement.unless_present else ""


def _source(source: NameSource, method: str) -> str:
    """A GET has the fields of its RPC in the query string."""
    text = str(source)
    in_query = method == "GET" and source.origin is Origin.BODY
    return text.replace(Origin.BODY, Origin.QUERY, 1) if in_query else text


def _policy(policy: Policy, method: str) -> dict[str, Any]:
    match policy:
        case Public():
            return {"policy": "public"}
        case Authenticated(reason=reason):
            return {"policy": "authenticated", "reason": reason}
        case AnyRight(listing=listing, parameter=parameter):
            return {"policy": "any-right", "listing": listing, "parameter": parameter}
        case Refused(reason=reason):
            return {"policy": "refused", "reason": reason}
        case Guarded(requirements=requirements):
            return {
                "policy": "guarded",
                "requirements": [
                    {
                        "verb": str(requirement.verb),
                        "resource": str(requirement.resource),
                        "subresource": requirement.subresource,
                        "names": [_source(source, method) for source in requirement.names],
                        "if": _condition(requirement) or "always",
                        **({"field": requirement.at} if requirement.at else {}),
                        "listing": str(requirement.listing or ""),
                    }
                    for requirement in requirements
                ],
            }
