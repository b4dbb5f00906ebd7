"""Which question a request will ask whoever sent it, so that it can be asked together with who that is."""

from __future__ import annotations

from workspace_authz.catalog.compile import Match
from workspace_authz.catalog.model import Guarded
from workspace_authz.enforcement.request import AccessRequest
from workspace_authz.types import Attributes
from workspace_authz.workspaces.requested import WORKSPACE_HEADER, WorkspaceRule, foreseen_workspace


def foreseen(match: Match | None, request: AccessRequest, rule: WorkspaceRule) -> Attributes | None:
    """The broad question of the first requirement that holds for every such request; None if none does.

    No body is read for it: nobody knows yet whether the sender may be listened to.
    """
    if match is None or not isinstance(match.route.policy, Guarded):
        return None
    for needed in match.route.policy.requirements:
        if not (needed.when_present or needed.unless_present or needed.at):
            break
    else:
        return None
    namespace = foreseen_workspace(rule, headers=request.header(WORKSPACE_HEADER))
    if namespace is None:
        return None
    return Attributes(namespace, needed.verb, needed.resource, needed.subresource)
