"""What was decided lately, as a worker keeps it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing

from workspace_authz.aio.clock import Clock
from workspace_authz.aio.supervisor import Supervisor
from workspace_authz.database.audit import Bounds
from workspace_authz.database.threads import DatabaseThreads
from workspace_authz.history.history import History
from workspace_authz.mlflow_adapter.store.engines import tracking_engine
from workspace_authz.runtime.worker_config import WorkerConfig
from workspace_authz.workspaces.directory import Directory


@asynccontextmanager
async def history_of(
    config: WorkerConfig, directory: Directory | None, *, clock: Clock
) -> AsyncIterator[History | None]:
    """The history of the settings while the block runs; None where they keep none, or MLflow is elsewhere."""
    settings = config.settings
    if settings.audit_history_days == 0 or config.mlflow is not None:
        yield None
        return
    with (
        closing(DatabaseThreads(tracking_engine, "the audit page", threads=2)) as database,
        closing(DatabaseThreads(tracking_engine, "the audit page", threads=2)) as readers,
    ):
        history = _history(config, directory, clock=clock, threads=(database, readers))
        yield history
        await history.close()


def _history(
    config: WorkerConfig,
    directory: Directory | None,
    *,
    clock: Clock,
    threads: tuple[DatabaseThreads, DatabaseThreads],
) -> History:
    settings = config.settings
    return History(
        *threads,
        days=settings.audit_history_days,
        bounds=Bounds(settings.audit_history_rows),
        clock=clock,
        uid_of=_uid_of(config, directory),
    )


def start(history: History | None, supervisor: Supervisor) -> None:
    """Start the work in the background."""
    if history is not None:
        supervisor.run("audit history", history.run)
        supervisor.run("audit pruning", history.run_pruning)


def _uid_of(config: WorkerConfig, directory: Directory | None) -> Callable[[str], str | None]:
    single = config.single_namespace

    def uid_of(workspace: str) -> str | None:
        if directory is None:
            return "" if workspace == single else None
        known = directory.get(workspace)
        return known.uid if known is not None else None

    return uid_of
