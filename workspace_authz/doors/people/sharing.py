"""No caller's look at permissions makes another caller wait for it."""

from __future__ import annotations

from typing import Final

from workspace_authz.doors.own_routes import OwnAnswer
from workspace_authz.doors.visits import Visit, Work
from workspace_authz.errors import TooManyRequestsError

_FULL: Final = "Too many of your requests about people and permissions run already; try again."


def sharing(work: Work) -> Work:
    """``work`` with a place among the requests of this kind: each may ask Kubernetes hundreds of questions.

    Raises :class:`TooManyRequestsError` where a caller has too many.
    """

    async def share(visit: Visit) -> OwnAnswer:
        caller, people = await visit.caller(), visit.runtime.people
        if people is None:
            return await work(visit)
        full, name = TooManyRequestsError(_FULL), caller.user.username
        async with people.looks.place(full, caller=name, workspace=visit.workspace):
            return await work(visit)

    return share
