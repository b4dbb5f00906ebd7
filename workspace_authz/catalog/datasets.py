"""Evaluation datasets and their records."""

from __future__ import annotations

from typing import Final

from workspace_authz.catalog.build import (
    all_of,
    body,
    experiments,
    linked,
    path,
    response,
    right,
    rpc,
    search,
)
from workspace_authz.catalog.model import Identifier, Route
from workspace_authz.types import Resource, Verb

_DATASET_ID: Final = path("dataset_id", Identifier.DATASET_ID)
_GET: Final = right(Verb.GET, Resource.DATASETS, _DATASET_ID)
_UPDATE: Final = right(Verb.UPDATE, Resource.DATASETS, _DATASET_ID)
_SEARCH: Final = search(Resource.DATASETS, response("datasets[].name"), filtered_by="filter_string")
_EXPERIMENTS: Final = body("experiment_ids[]", Identifier.EXPERIMENT_ID)

_DATASETS: Final = "3.0/mlflow/datasets"
_DATASET: Final = f"{_DATASETS}/{{dataset_id}}"

ROUTES: Final[tuple[Route, ...]] = (
    *rpc(
        "POST",
        f"{_DATASETS}/create",
        "CreateDataset",
        all_of(
            right(Verb.CREATE, Resource.DATASETS),
            linked(experiments(Verb.UPDATE, _EXPERIMENTS)),
        ),
    ),
    *rpc("GET", f"{_DATASETS}/search", "SearchEvaluationDatasets", _SEARCH),
    *rpc("POST", f"{_DATASETS}/search", "SearchEvaluationDatasets", _SEARCH),
    *rpc("GET", _DATASET, "GetDataset", _GET),
    *rpc("DELETE", _DATASET, "DeleteDataset", right(Verb.DELETE, Resource.DATASETS, _DATASET_ID)),
    *rpc("PATCH", f"{_DATASET}/tags", "SetDatasetTags", _UPDATE),
    *rpc("DELETE", f"{_DATASET}/tags/{{key}}", "DeleteDatasetTag", _UPDATE),
    *rpc("GET", f"{_DATASET}/records", "GetDatasetRecords", _GET),
    *rpc("POST", f"{_DATASET}/records", "UpsertDatasetRecords", _UPDATE),
    *rpc("DELETE", f"{_DATASET}/records", "DeleteDatasetRecords", _UPDATE),
    *rpc("GET", f"{_DATASET}/experiment-ids", "GetDatasetExperimentIds", _GET),
    *rpc(
        "POST",
        f"{_DATASET}/add-experiments",
        "AddDatasetToExperiments",
        all_of(_UPDATE, experiments(Verb.UPDATE, _EXPERIMENTS)),
    ),
    *rpc(
        "POST",
        f"{_DATASET}/remove-experiments",
        "RemoveDatasetFromExperiments",
        all_of(_UPDATE, experiments(Verb.UPDATE, _EXPERIMENTS)),
    ),
)
