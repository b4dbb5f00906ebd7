"""Experiments, runs, metrics and the artifacts of runs.

Runs have no rights of their own. Rights on a run are rights on its experiment, and deleting a run is an
``update`` of it. Fields are those that MLflow's handlers read: only some RPCs accept ``run_uuid``.
"""

from __future__ import annotations

from typing import Final

from workspace_authz.catalog.build import (
    EXPERIMENT,
    ajax,
    all_of,
    at_path,
    body,
    experiments,
    linked,
    listed,
    query,
    response,
    restricted,
    rpc,
    search,
)
from workspace_authz.catalog.model import Identifier, Refused, Restriction, Route
from workspace_authz.types import Resource, Verb

NOT_IMPLEMENTED: Final = Refused("MLflow itself does not implement this operation.")

_EXPERIMENTS: Final = body("experiment_ids[]", Identifier.EXPERIMENT_ID)
_RUN: Final = body("run_id", Identifier.RUN_ID)
_RUN_OR_UUID: Final = body("run_id", Identifier.RUN_ID, "run_uuid")
_RUNS: Final = body("run_ids[]", Identifier.RUN_ID)
_MODEL: Final = body("model_id", Identifier.LOGGED_MODEL_ID)
_LOCATION: Final = body("artifact_location", Identifier.ARTIFACT_LOCATION)
_LINKED_MODELS: Final = body("models[].model_id", Identifier.LOGGED_MODEL_ID)
_THEIRS: Final = listed(Verb.LIST, Resource.EXPERIMENTS, _EXPERIMENTS)
_FOUND: Final = search(
    Resource.EXPERIMENTS,
    response("experiments[].experiment_id", Identifier.EXPERIMENT_ID),
    key="experiment_id",
)

_EXPERIMENT_ROUTES: Final[tuple[Route, ...]] = (
    *restricted(
        Restriction.ARTIFACT_ROOT,
        restricted(
            Restriction.NO_SCHEDULE_TAG,
            rpc(
                "POST",
                "2.0/mlflow/experiments/create",
                "CreateExperiment",
                # A location within that of another experiment would give a right on the other's artifacts.
                all_of(experiments(Verb.CREATE), experiments(Verb.UPDATE, _LOCATION, when_present=True)),
            ),
        ),
    ),
    *rpc("GET", "2.0/mlflow/experiments/get", "GetExperiment", experiments(Verb.GET, EXPERIMENT)),
    *rpc(
        "GET",
        "2.0/mlflow/experiments/get-by-name",
        "GetExperimentByName",
        experiments(Verb.GET, body("experiment_name")),
    ),
    *rpc("GET", "2.0/mlflow/experiments/search", "SearchExperiments", _FOUND),
    *rpc("POST", "2.0/mlflow/experiments/search", "SearchExperiments", _FOUND),
    *rpc(
        "POST",
        "2.0/mlflow/experiments/update",
        "UpdateExperiment",
        all_of(
            experiments(Verb.UPDATE, EXPERIMENT),
            experiments(Verb.UPDATE, body("new_name"), when_present=True),
        ),
    ),
    *rpc("POST", "2.0/mlflow/experiments/delete", "DeleteExperiment", experiments(Verb.DELETE, EXPERIMENT)),
    *rpc("POST", "2.0/mlflow/experiments/restore", "RestoreExperiment", experiments(Verb.UPDATE, EXPERIMENT)),
    *restricted(
        Restriction.NO_SCHEDULE_TAG,
        rpc(
            "POST",
            "2.0/mlflow/experiments/set-experiment-tag",
            "SetExperimentTag",
            experiments(Verb.UPDATE, EXPERIMENT),
        ),
    ),
    *rpc(
        "POST",
        "2.0/mlflow/experiments/delete-experiment-tag",
        "DeleteExperimentTag",
        experiments(Verb.UPDATE, EXPERIMENT),
    ),
    *ajax(
        "POST",
        "2.0/mlflow/experiments/search-datasets",
        "SearchDatasets",
        _THEIRS,
    ),
    # MLflow forgets a slash here; the route that works is the one above.
    *rpc("POST", "2.0mlflow/experiments/search-datasets", "SearchDatasets", NOT_IMPLEMENTED),
)

_RUN_ROUTES: Final[tuple[Route, ...]] = (
    *rpc("POST", "2.0/mlflow/runs/create", "CreateRun", experiments(Verb.UPDATE, EXPERIMENT)),
    *ajax(
        "POST",
        "2.0/mlflow/runs/create-promptlab-run",
        "CreatePromptlabRun",
        experiments(Verb.UPDATE, EXPERIMENT),
    ),
    *rpc("GET", "2.0/mlflow/runs/get", "GetRun", experiments(Verb.GET, _RUN_OR_UUID)),
    *rpc("POST", "2.0/mlflow/runs/search", "SearchRuns", _THEIRS),
    *rpc("POST", "2.0/mlflow/runs/update", "UpdateRun", experiments(Verb.UPDATE, _RUN_OR_UUID)),
    *rpc("POST", "2.0/mlflow/runs/delete", "DeleteRun", experiments(Verb.UPDATE, _RUN)),
    *rpc("POST", "2.0/mlflow/runs/restore", "RestoreRun", experiments(Verb.UPDATE, _RUN)),
    *rpc("POST", "2.0/mlflow/runs/set-tag", "SetTag", experiments(Verb.UPDATE, _RUN_OR_UUID)),
    *rpc("POST", "2.0/mlflow/runs/delete-tag", "DeleteTag", experiments(Verb.UPDATE, _RUN)),
    *rpc("POST", "2.0/mlflow/runs/log-parameter", "LogParam", experiments(Verb.UPDATE, _RUN_OR_UUID)),
    *rpc("POST", "2.0/mlflow/runs/log-model", "LogModel", experiments(Verb.UPDATE, _RUN)),
    *rpc(
        "POST",
        "2.0/mlflow/runs/log-metric",
        "LogMetric",
        all_of(
            experiments(Verb.UPDATE, _RUN_OR_UUID),
            linked(experiments(Verb.UPDATE, _MODEL)),
        ),
    ),
    *rpc(
        "POST",
        "2.0/mlflow/runs/log-batch",
        "LogBatch",
        all_of(
            experiments(Verb.UPDATE, _RUN),
            linked(experiments(Verb.UPDATE, body("metrics[].model_id", Identifier.LOGGED_MODEL_ID))),
        ),
    ),
    *rpc(
        "POST",
        "2.0/mlflow/runs/log-inputs",
        "LogInputs",
        all_of(
            experiments(Verb.UPDATE, _RUN),
            linked(experiments(Verb.UPDATE, _LINKED_MODELS)),
        ),
    ),
    *rpc(
        "POST",
        "2.0/mlflow/runs/outputs",
        "LogOutputs",
        all_of(
            experiments(Verb.UPDATE, _RUN),
            linked(experiments(Verb.UPDATE, _LINKED_MODELS)),
        ),
    ),
)

_METRIC_ROUTES: Final[tuple[Route, ...]] = (
    *rpc("GET", "2.0/mlflow/metrics/get-history", "GetMetricHistory", experiments(Verb.GET, _RUN_OR_UUID)),
    *rpc(
        "GET",
        "2.0/mlflow/metrics/get-history-bulk-interval",
        "GetMetricHistoryBulkInterval",
        experiments(Verb.GET, _RUNS),
    ),
    *ajax(
        "GET",
        "2.0/mlflow/metrics/get-history-bulk",
        "GetMetricHistoryBulk",
        experiments(Verb.GET, query("run_id[]", Identifier.RUN_ID)),
    ),
)

_RUN_ARTIFACT_ROUTES: Final[tuple[Route, ...]] = (
    *rpc("GET", "2.0/mlflow/artifacts/list", "ListArtifacts", experiments(Verb.GET, _RUN_OR_UUID)),
    *rpc(
        "POST",
        "2.0/mlflow/artifacts/presigned-upload-url",
        "CreatePresignedUploadUrl",
        # MLflow takes exactly one of the two.
        experiments(Verb.UPDATE, _RUN, _MODEL),
    ),
    *rpc(
        "POST",
        "2.0/mlflow/artifacts/presigned-download-url",
        "CreatePresignedDownloadUrl",
        experiments(Verb.GET, _RUN),
    ),
    *at_path(
        "GET",
        "/get-artifact",
        "GetArtifact",
        # The handler takes run_uuid when run_id is missing or empty.
        experiments(Verb.GET, query("run_id", Identifier.RUN_ID, "run_uuid")),
    ),
    *ajax(
        "POST",
        "2.0/mlflow/upload-artifact",
        "UploadRunArtifact",
        # A POST, but the handler reads the query string.
        experiments(Verb.UPDATE, query("run_uuid", Identifier.RUN_ID)),
    ),
)

ROUTES: Final[tuple[Route, ...]] = (
    *_EXPERIMENT_ROUTES,
    *_RUN_ROUTES,
    *_METRIC_ROUTES,
    *_RUN_ARTIFACT_ROUTES,
)
