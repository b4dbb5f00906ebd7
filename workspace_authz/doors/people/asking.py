"""What ``whoami`` and ``can-i`` of the command line ask a running server, with only the caller's token.

The answers are those of Kubernetes, for the caller alone.
"""

from __future__ import annotations

from typing import Final

from workspace_authz.authorizer.questions import parse_question, questions_in_order
from workspace_authz.doors.asgi.protocol import peer_of
from workspace_authz.doors.own_routes import OwnAnswer
from workspace_authz.doors.pages import ROOT
from workspace_authz.doors.visits import OwnRoute, Visit, json_answer
from workspace_authz.errors import BadRequestError
from workspace_authz.identity.authenticator import Presented
from workspace_authz.types import API_GROUP, Attributes, Caller, Outcome
from workspace_authz.workspaces.requested import WORKSPACE_HEADER, StatedWorkspaces, requested_workspace

LONGEST_NAME: Final = 512
"""Characters of an object's name. Answers are cached by it; MLflow's own names are shorter."""


async def _whoami(visit: Visit) -> OwnAnswer:
    user = (await visit.caller()).user
    return json_answer(
        {
            "username": user.username,
            "uid": user.uid,
            "groups": list(user.groups),
            "extra": {key: list(values) for key, values in user.extra},
        }
    )


async def _can_i(visit: Visit) -> OwnAnswer:
    caller = await visit.caller()
    namespace, name = workspace_for(visit, caller), _name(visit)
    try:
        verb, resource, subresource = parse_question(visit.parameter("verb"), visit.parameter("resource"))
    except ValueError as error:
        raise BadRequestError(str(error)) from error
    asked = Attributes(namespace, verb, resource, subresource, name)
    decision = await visit.runtime.pipeline.authorizer.authorize(caller, asked)
    return json_answer(
        {
            "allowed": decision.outcome is Outcome.ALLOW,
            "verb": str(verb),
            "resource": asked.qualified_resource,
            "group": API_GROUP,
            "namespace": namespace,
            **({"name": name} if name else {}),
        }
    )


async def _rights(visit: Visit) -> OwnAnswer:
    caller = await visit.caller()
    namespace, name = workspace_for(visit, caller), _name(visit)
    asked = list(questions_in_order(namespace, name))
    decisions = await visit.runtime.pipeline.authorizer.authorize_all(caller, asked)
    rights: dict[str, list[str]] = {}
    for question in asked:
        verbs = rights.setdefault(question.qualified_resource, [])
        if decisions[question].outcome is Outcome.ALLOW:
            verbs.append(str(question.verb))
    return json_answer({"namespace": namespace, "group": API_GROUP, "name": name, "rights": rights})


def workspace_for(visit: Visit, caller: Caller, *, parameter: str | None = None) -> str:
    """The namespace that a request means, as one to MLflow would. Raises :class:`BadRequestError`.

    ``parameter`` is one that its URL names; it comes before the header.
    """
    pipeline, scope = visit.runtime.pipeline, visit.scope
    headers = scope["headers"]
    presented = Presented(headers, peer=peer_of(scope), method=scope["method"])
    stated = StatedWorkspaces(
        headers=[value for name, value in headers if name == WORKSPACE_HEADER],
        credentials=pipeline.identity.workspaces(presented),
    )
    return requested_workspace(pipeline.rule, stated, parameter=parameter, user=caller.user)


def _name(visit: Visit) -> str:
    name = visit.parameter("name")
    if len(name) > LONGEST_NAME:
        raise BadRequestError(f"No name of an object has more than {LONGEST_NAME} characters.")
    return name


ROUTES: Final = (
    OwnRoute("GET", f"{ROOT}/api/whoami", _whoami),
    OwnRoute("GET", f"{ROOT}/api/can-i", _can_i),
    OwnRoute("GET", f"{ROOT}/api/rights", _rights),
)
