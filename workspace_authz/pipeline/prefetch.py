"""Which question a request asks whoever sends it, so that it can be asked together with who that is."""

from __future__ import annotations

from collections.abc import Iterable

from workspace_authz.authorizer.prefetch import AnyRightIn
from workspace_authz.catalog.compile import Match
from workspace_authz.catalog.model import AnyRight, Guarded, Requirement
from workspace_authz.types import Attributes
from workspace_authz.workspaces.requested import StatedWorkspaces, WorkspaceRule, foreseen_workspace


def question_for_anybody(
    match: Match, stated: StatedWorkspaces, *, rule: WorkspaceRule
) -> Attributes | AnyRightIn | None:
    """The broad question of the first requirement that holds for every such request; None if none does.

    No body is read for it: nobody knows yet whether the sender may be listened to. A list of workspaces has
    no such question: where it looks for rights depends on the caller.
    """
    match match.route.policy:
        case AnyRight(listing=False, parameter=parameter):
            namespace = foreseen_workspace(rule, stated, parameter=match.parameters.get(parameter))
            return AnyRightIn(namespace) if namespace else None
        case Guarded(requirements=requirements):
            needed, namespace = _unconditional(requirements), foreseen_workspace(rule, stated, parameter=None)
            if needed is None or namespace is None:
                return None
            return Attributes(namespace, needed.verb, needed.resource, needed.subresource)
        case _:
            return None


def _unconditional(requirements: Iterable[Requirement]) -> Requirement | None:
    for needed in requirements:
        if not (needed.when_present or needed.unless_present or needed.graphql_field):
            return needed
    return None
