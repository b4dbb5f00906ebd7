"""What MLflow does to its data from time to time: garbage collection, and archival of traces."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from mlflow.entities import ViewType

from workspace_authz.errors import ConfigurationError
from workspace_authz.mlflow_adapter.compat import optional_module, replace_attribute

artifact_repository_registry = optional_module("mlflow.store.artifact.artifact_repository_registry")
cli = optional_module("mlflow.cli")
constants = optional_module("mlflow.server.constants")
trace_archival_service = optional_module("mlflow.tracing.trace_archival_service")
tracking_stores = optional_module("mlflow.tracking._tracking_service.utils")
workspace_context = optional_module("mlflow.utils.workspace_context")

_MLFLOW: Final = "mlflow"


@dataclass(frozen=True, slots=True)
class Garbage:
    """What is deleted for good: everything that was deleted longer ago than ``older_than``."""

    database: str = field(repr=False)
    """MLflow's tracking store."""
    older_than: timedelta

    def delete(self, workspace: str) -> BaseException | None:
        """Delete it in one workspace. Returns what went wrong, so that the next one does not suffer."""
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(self._delete, workspace).exception()

    def _delete(self, workspace: str) -> None:
        with workspace_context.WorkspaceContext(workspace):
            self._delete_what_mlflow_leaves()
        seconds = f"{int(self.older_than.total_seconds())}s"
        arguments = ["gc", "--workspace", workspace, "--older-than", seconds]
        cli.cli.main([*arguments, "--backend-store-uri", self.database], standalone_mode=False)

    def _delete_what_mlflow_leaves(self) -> None:
        """Delete the folders of deleted experiments. MLflow deletes those of runs and deleted models only.

        Only folders that are one experiment's alone: its id ends the location. They are deleted entry by
        entry, because some of MLflow's stores delete all that begins with a name, and 2 begins 25.
        """
        store = tracking_stores._get_store(self.database)
        before = int((time.time() - self.older_than.total_seconds()) * 1000)
        wanted = {"view_type": ViewType.DELETED_ONLY, "filter_string": f"last_update_time < {before}"}
        page = store.search_experiments(**wanted)
        while True:
            for experiment in page:
                if experiment.artifact_location.endswith(f"/{experiment.experiment_id}"):
                    _empty(experiment.artifact_location)
            if not page.token:
                return
            page = store.search_experiments(**wanted, page_token=page.token)


def _empty(location: str) -> None:
    folder = artifact_repository_registry.get_artifact_repository(location)
    for entry in folder.list_artifacts():
        folder.delete_artifacts(entry.path)


@dataclass(frozen=True, slots=True)
class Archived:
    """What one pass did."""

    traces: int
    problems: list[str]
    """What MLflow only logs: a workspace or a trace that could not be archived."""


def archive_traces(database: str) -> Archived:
    """One pass over all workspaces, whenever the last one was.

    Raises :class:`ConfigurationError` without a file of settings that switches archiving on.
    """
    if trace_archival_service._get_trace_archival_scheduler_settings() is None:
        raise ConfigurationError(
            "Traces are not archived: MLFLOW_TRACE_ARCHIVAL_CONFIG must name a valid file of MLflow's (under "
            "trace_archival: enabled, location, retention), and `enabled` must be true there."
        )
    # Where MLflow looks for it, in 3.16 and later.
    os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = os.environ["MLFLOW_BACKEND_STORE_URI"] = database
    # MLflow counts its own interval from the start of the machine; here somebody else keeps the time.
    replace_attribute(trace_archival_service, "_TRACE_ARCHIVAL_SCHEDULER_LAST_RUN_MONOTONIC", by=-math.inf)
    with _problems() as problems:
        traces = trace_archival_service.run_trace_archival_scheduler()
    return Archived(traces, problems)


@contextmanager
def _problems() -> Iterator[list[str]]:
    """The messages of MLflow's log that come with an exception."""
    problems: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info:
                problems.append(record.getMessage())

    handler = Handler()
    logger = logging.getLogger(_MLFLOW)
    logger.addHandler(handler)
    try:
        yield problems
    finally:
        logger.removeHandler(handler)
