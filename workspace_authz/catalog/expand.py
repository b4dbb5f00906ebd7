"""The compiled catalog as a table with one line per method and path, as text or as JSON."""

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
    """One aligned line per entry: method, path and rule. Several requirements are joined by ``+``.

    Restrictions and identity stamps follow, each after a semicolon. For GraphQL, each field that has a
    requirement gets a line of its own, with the field in the column of the path.
    """
    rows = [row for entry in entries for row in _rows(entry)]
    methods = max((len(method) for method, _, _ in rows), default=0)
    paths = max((len(path) for _, path, _ in rows), default=0)
    return "".join(f"{method:<{methods}}  {path:<{paths}}  {demand}\n" for method, path, demand in rows)


def as_json(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """The same as values that JSON can hold."""
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
        yield "", f"  {each.graphql_field}", _requirement(each, entry.method)
    for field in policy.unguarded_fields:
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
    """A policy in one line. Name sources are shown as they occur in a request of ``method``."""
    match policy:
        case Public():
            return "public"
        case Authenticated(reason=reason):
            return f"authenticated: {reason}"
        case AnyRight(listing=True):
            return "any right, in each workspace listed"
        case AnyRight(parameter=parameter):
            return f"any right in the workspace{f' path:{parameter}' if parameter else ''}"
        case Refused(reason=reason):
            return f"refused: {reason}"
        case Guarded(requirements=requirements):
            return " + ".join(
                f"{_requirement(each, method)}{f' at {each.graphql_field}' if each.graphql_field else ''}"
                for each in requirements
            )


def _requirement(requirement: Requirement, method: str) -> str:
    names = ", ".join(_source(source, method) for source in requirement.names)
    condition = _condition(requirement)
    text = f"{requirement.verb} {requirement.qualified_resource}"
    own = ", of this workspace" if requirement.same_workspace else ""
    listing = f" {requirement.listing}" if requirement.listing else ""
    return f"{text}{f' ({names})' if names else ''}{f' if {condition}' if condition else ''}{own}{listing}"


def _condition(requirement: Requirement) -> str:
    return "present" if requirement.when_present else "absent" if requirement.unless_present else ""


def _source(source: NameSource, method: str) -> str:
    """The name source. A GET has the fields of its RPC in the query string."""
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
                        **({"field": requirement.graphql_field} if requirement.graphql_field else {}),
                        "listing": str(requirement.listing or ""),
                    }
                    for requirement in requirements
                ],
            }
