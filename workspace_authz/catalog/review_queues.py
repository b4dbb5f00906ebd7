"""Scorers, label schemas and review queues. Rights on them are rights on their experiment."""

from __future__ import annotations

from typing import Final

from workspace_authz.catalog.build import (
    EXPERIMENT,
    all_of,
    body,
    experiments,
    listed,
    query,
    response,
    rpc,
    use,
)
from workspace_authz.catalog.jobs import SERVER_JOB
from workspace_authz.catalog.model import Identifier, Route
from workspace_authz.types import Resource, Verb

_GET: Final = experiments(Verb.GET, EXPERIMENT)
_UPDATE: Final = experiments(Verb.UPDATE, EXPERIMENT)

_SCHEMAS: Final = "3.0/mlflow/label-schemas"
_SCHEMA: Final = body("schema_id", Identifier.LABEL_SCHEMA_ID)
_LABEL_SCHEMA_ROUTES: Final[tuple[Route, ...]] = (
    *rpc("POST", f"{_SCHEMAS}/create", "CreateLabelSchema", _UPDATE),
    *rpc("GET", f"{_SCHEMAS}/get", "GetLabelSchema", experiments(Verb.GET, _SCHEMA)),
    *rpc("GET", f"{_SCHEMAS}/get-by-name", "GetLabelSchemaByName", _GET),
    *rpc("GET", f"{_SCHEMAS}/list", "ListLabelSchemas", _GET),
    *rpc("PATCH", f"{_SCHEMAS}/update", "UpdateLabelSchema", experiments(Verb.UPDATE, _SCHEMA)),
    *rpc("DELETE", f"{_SCHEMAS}/delete", "DeleteLabelSchema", experiments(Verb.UPDATE, _SCHEMA)),
)

_QUEUES: Final = "3.0/mlflow/review-queues"
_QUEUE: Final = body("queue_id", Identifier.REVIEW_QUEUE_ID)
_GET_QUEUE: Final = experiments(Verb.GET, _QUEUE)
_UPDATE_QUEUE: Final = experiments(Verb.UPDATE, _QUEUE)
_REVIEW_QUEUE_ROUTES: Final[tuple[Route, ...]] = (
    *rpc("POST", f"{_QUEUES}/create", "CreateReviewQueue", _UPDATE),
    *rpc("POST", f"{_QUEUES}/get-or-create-user", "GetOrCreateUserQueue", _UPDATE),
    *rpc("GET", f"{_QUEUES}/get", "GetReviewQueue", _GET_QUEUE),
    *rpc("GET", f"{_QUEUES}/get-by-name", "GetReviewQueueByName", _GET),
    *rpc("GET", f"{_QUEUES}/list", "ListReviewQueues", _GET),
    *rpc("POST", f"{_QUEUES}/update", "UpdateReviewQueue", _UPDATE_QUEUE),
    *rpc("POST", f"{_QUEUES}/delete", "DeleteReviewQueue", _UPDATE_QUEUE),
    # MLflow's handler takes traces of the queue's own experiment only.
    *rpc("POST", f"{_QUEUES}/items/add", "AddItemsToReviewQueue", _UPDATE_QUEUE),
    *rpc("POST", f"{_QUEUES}/items/remove", "RemoveItemsFromReviewQueue", _UPDATE_QUEUE),
    *rpc("GET", f"{_QUEUES}/items/list", "ListReviewQueueItems", _GET_QUEUE),
    *rpc("POST", f"{_QUEUES}/items/set-status", "SetReviewQueueItemStatus", _UPDATE_QUEUE),
)

_SCORERS: Final = "3.0/mlflow/scorers"
_SCORER_ROUTES: Final[tuple[Route, ...]] = (
    *rpc(
        "POST",
        f"{_SCORERS}/register",
        "RegisterScorer",
        all_of(
            _UPDATE,
            use(
                Resource.GATEWAY_ENDPOINTS,
                body("serialized_scorer", Identifier.GATEWAY_MODEL_URI),
                when_present=True,
            ),
        ),
    ),
    *rpc(
        "GET",
        f"{_SCORERS}/list",
        "ListScorers",
        # MLflow refuses both at once; with neither it lists the whole workspace.
        listed(
            Verb.GET,
            Resource.EXPERIMENTS,
            EXPERIMENT,
            body("experiment_ids[]", Identifier.EXPERIMENT_ID),
            response("scorers[].experiment_id", Identifier.EXPERIMENT_ID),
            inject="experiment_ids",
        ),
    ),
    *rpc("GET", f"{_SCORERS}/versions", "ListScorerVersions", _GET),
    *rpc("GET", f"{_SCORERS}/get", "GetScorer", _GET),
    *rpc("DELETE", f"{_SCORERS}/delete", "DeleteScorer", _UPDATE),
    *rpc(
        "GET",
        f"{_SCORERS}/online-configs",
        "GetOnlineScoringConfigs",
        experiments(Verb.GET, query("scorer_ids[]", Identifier.SCORER_ID)),
    ),
    # MLflow's scheduler turns each configuration into jobs (genai.scorers.job.run_online_scoring_scheduler).
    *rpc("PUT", f"{_SCORERS}/online-config", "UpsertOnlineScoringConfig", SERVER_JOB),
)

ROUTES: Final[tuple[Route, ...]] = (*_LABEL_SCHEMA_ROUTES, *_REVIEW_QUEUE_ROUTES, *_SCORER_ROUTES)
