"""Which requests hold one of the threads that all of MLflow's handlers share, and whose share they use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from workspace_authz.aio.fair_share import FairShare
from workspace_authz.catalog.model import Mount, Route, Server
from workspace_authz.errors import TooManyRequestsError
from workspace_authz.pipeline.verdict import Pass

_ASYNCHRONOUS: Final = (
    "/gateway/",
    "/v1/traces",
    "/ajax-api/3.0/mlflow/assistant/",
    "/api/2.0/mlflow-artifacts/artifacts/",
    "/ajax-api/2.0/mlflow-artifacts/artifacts/",
)
"""Where those routes of FastAPI begin whose handlers are coroutines: they hold no thread while they wait."""


def holds_thread(route: Route, path: str) -> bool:
    """Whether the handler of ``route``, called as ``path``, runs in a thread.

    A path below the static prefix is Flask's where a route is served by both.
    """
    if route.server is Server.FLASK:
        return True
    return not (path if route.mount is Mount.BOTH else route.path).startswith(_ASYNCHRONOUS)


@asynccontextmanager
async def thread_share(share: FairShare, verdict: Pass, *, path: str) -> AsyncIterator[None]:
    """Hold a place of the caller's share while the block runs.

    Not for public routes, which have no caller and wait for nobody. Raises :class:`TooManyRequestsError`.
    """
    route, caller = verdict.findings.route, verdict.findings.caller
    if route is None or caller is None or not holds_thread(route, path):
        yield
        return
    full = TooManyRequestsError(
        "Too many requests of yours or of this workspace are being served or waiting; try again in a second."
    )
    async with share.place(full, caller=caller.user.username, workspace=verdict.findings.workspace):
        yield
