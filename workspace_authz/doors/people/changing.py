"""Changes of RBAC that people make at the door, with their own token."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from workspace_authz.doors.people.visible import callers_rights
from workspace_authz.doors.visits import Visit
from workspace_authz.errors import ForbiddenError
from workspace_authz.grants.writing import GrantWriter
from workspace_authz.types import Caller

_LOOK_SECONDS: Final = 0.01
_MOST_LOOKS: Final = 200

_BY_YOURSELF: Final = (
    "You are signed in by what the Kubernetes API does not accept as yours, so this server cannot change "
    "anything in your name. Do it with your own access to the cluster: {line}"
)


async def writer_for(visit: Visit, caller: Caller, *, namespace: str, change: str, line: str) -> GrantWriter:
    """Writes as the caller. ``change`` says what, for the audit record; ``line`` is the command for it.

    Whether they may write is for the API server. That they may list RoleBindings is asked before, so that
    nobody else learns from the answer what there is. Raises :class:`ForbiddenError`.
    """
    visit.own.changes(namespace, change)
    people = visit.runtime.people
    objects = people.objects.of(caller) if people is not None else None
    if objects is None:
        raise ForbiddenError(_BY_YOURSELF.format(line=line))
    if not await callers_rights(visit.runtime).lists_in(caller, namespace):
        raise ForbiddenError(
            f'User "{caller.user.username}" cannot list resource "rolebindings" in API group '
            f'"rbac.authorization.k8s.io" in the namespace "{namespace}", so they cannot change them here. '
            f"Who may: {line}"
        )
    return GrantWriter(objects)


async def seen(condition: Callable[[], bool]) -> None:
    """Wait until this worker's own watch has reported a change, so that the next page shows it.

    Other workers hear of it at the same time. Gives up after two seconds: the change is made in any case.
    """
    for _ in range(_MOST_LOOKS):
        if condition():
            return
        await asyncio.sleep(_LOOK_SECONDS)
