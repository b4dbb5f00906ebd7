"""The users of the contract: whom the bindings name that the caller may list."""

from __future__ import annotations

from workspace_authz.doors.own_routes import OwnAnswer
from workspace_authz.doors.people.contract.answering import documents_for
from workspace_authz.doors.people.contract.own import roles_of_caller
from workspace_authz.doors.visits import Visit, json_answer
from workspace_authz.grants.subjects import subject_of_text, user_subject


async def user_roles(visit: Visit) -> OwnAnswer:
    """The roles of one user, as far as the caller may see them; one's own are all seen."""
    caller = await visit.caller()
    subject = subject_of_text(visit.parameter("username"))
    if subject != user_subject(caller.user.username):
        return json_answer({"roles": []})
    roles = await roles_of_caller(visit, caller)
    documents = await documents_for(visit, roles)
    return json_answer({"roles": [documents.role(role) for role in roles]})
