"""MLflow's own GraphQL handler, and what its resolvers ask the stores for: noted instead of looked up."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import flask
import pytest
from mlflow.protos.model_registry_pb2 import SearchModelVersions
from mlflow.protos.service_pb2 import (
    GetExperiment,
    GetMetricHistoryBulkInterval,
    GetRun,
    ListArtifacts,
    SearchDatasets,
    SearchRuns,
)
from mlflow.server import handlers

Touched = Counter[tuple[str, tuple[str, ...]]]

FOUND_RUN, FOUND_EXPERIMENT = "a run that was found", "an experiment that was found"


def _run(response: Any) -> Any:
    response.run.info.run_id, response.run.info.experiment_id = FOUND_RUN, FOUND_EXPERIMENT
    response.run.data.metrics.add(key="loss", value=0.5)
    return response


def _runs(response: Any) -> Any:
    run = response.runs.add()
    run.info.run_id, run.info.experiment_id = FOUND_RUN, FOUND_EXPERIMENT
    return response


def _named(response: Any) -> Any:
    response.experiment.name = "named"
    return response


def _versions(response: Any) -> Any:
    response.model_versions.add(name="model", version="1")
    return response


READS: dict[str, tuple[Callable[[Any], tuple[str, ...]], Callable[[], Any]]] = {
    "get_experiment_impl": (lambda m: (m.experiment_id,), lambda: _named(GetExperiment.Response())),
    "get_run_impl": (lambda m: (m.run_id or m.run_uuid,), lambda: _run(GetRun.Response())),
    "list_artifacts_impl": (lambda m: (m.run_id or m.run_uuid,), lambda: ListArtifacts.Response()),
    "get_metric_history_bulk_interval_impl": (
        lambda m: tuple(m.run_ids),
        lambda: GetMetricHistoryBulkInterval.Response(),
    ),
    "search_runs_impl": (lambda m: tuple(m.experiment_ids), lambda: _runs(SearchRuns.Response())),
    "search_datasets_impl": (lambda m: tuple(m.experiment_ids), lambda: SearchDatasets.Response()),
    "search_model_versions_impl": (
        lambda m: (m.filter,),
        lambda: _versions(SearchModelVersions.Response()),
    ),
}
"""Functions of ``mlflow.server.handlers``: what they look for, and an answer with one of everything."""


@contextlib.contextmanager
def noting() -> Iterator[Touched]:
    """What MLflow asks its stores for within the block."""
    touched: Touched = Counter()
    with pytest.MonkeyPatch.context() as patched:
        # It tries to import MLflow's own basic auth each time, and fails, for the best part of a second.
        patched.setattr(handlers, "_get_graphql_auth_middleware", list)
        for name, (wanted, answer) in READS.items():
            patched.setattr(handlers, name, _noted(name, wanted, answer, touched))
        yield touched


def _noted(
    name: str, wanted: Callable[[Any], tuple[str, ...]], answer: Callable[[], Any], touched: Touched
) -> Callable[[Any], Any]:
    def impl(message: Any) -> Any:
        touched[name, wanted(message)] += 1
        return answer()

    return impl


def executed(app: flask.Flask, method: str, body: bytes, content_type: str, query: str = "") -> Touched:
    """What MLflow touches for this request, an error on the way or not."""
    request = app.test_request_context(
        "/graphql", method=method, data=body, content_type=content_type, query_string=query
    )
    with noting() as touched, request, contextlib.suppress(Exception):  # its handler fails in many ways
        handlers._graphql()
    return touched
