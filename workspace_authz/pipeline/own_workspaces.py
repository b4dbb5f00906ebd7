"""The workspaces of a caller, for the refusal of a request that names none."""

from __future__ import annotations

import asyncio
from typing import Final

from workspace_authz.authorizer.authorizer import Authorizer
from workspace_authz.errors import BadRequestError, RequestError, UnnamedWorkspaceError
from workspace_authz.pipeline.parts import Workspaces
from workspace_authz.types import Caller

MOST_NAMED: Final = 20
"""Workspaces in one sentence."""
_SECONDS: Final = 2.0
"""The longest look for them. The refusal stands without them."""


async def with_workspaces(
    error: UnnamedWorkspaceError,
    caller: Caller,
    *,
    authorizer: Authorizer,
    workspaces: Workspaces,
    until: float,
) -> BadRequestError:
    """``error``, and in which workspaces the caller holds rights.

    Nothing is added for a caller without rights, nor where this cannot be known before ``until``, a time of
    the event loop. Raises nothing else than ``error`` would be.
    """
    try:
        async with asyncio.timeout_at(min(until, asyncio.get_running_loop().time() + _SECONDS)):
            names = sorted(await authorizer.namespaces_with_rights(caller, workspaces.names()))
    except (RequestError, TimeoutError):
        return error
    if not names:
        return error
    more = len(names) - MOST_NAMED
    return BadRequestError(
        f"{error.message} You hold rights in {', '.join(names[:MOST_NAMED])}"
        f"{f' and {more} more' if more > 0 else ''}."
    )
