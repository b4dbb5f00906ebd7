"""Logged models (``m-…``). Rights on them are rights on the experiment. Versions: :mod:`.registry`."""

from __future__ import annotations

from typing import Final

from workspace_authz.catalog.build import (
    EXPERIMENT,
    ajax,
    all_of,
    body,
    experiments,
    linked,
    listed,
    path,
    rpc,
)
from workspace_authz.catalog.model import Identifier, Route
from workspace_authz.types import Resource, Verb

_MODELS: Final = "2.0/mlflow/logged-models"
_MODEL: Final = f"{_MODELS}/{{model_id}}"
_GET: Final = experiments(Verb.GET, path("model_id", Identifier.LOGGED_MODEL_ID))
_UPDATE: Final = experiments(Verb.UPDATE, path("model_id", Identifier.LOGGED_MODEL_ID))

ROUTES: Final[tuple[Route, ...]] = (
    *rpc(
        "POST",
        _MODELS,
        "CreateLoggedModel",
        all_of(
            experiments(Verb.UPDATE, EXPERIMENT),
            # Text to MLflow, which hands it on as the run of a model version.
            linked(experiments(Verb.GET, body("source_run_id", Identifier.RUN_ID))),
        ),
    ),
    *rpc(
        "POST",
        f"{_MODELS}/search",
        "SearchLoggedModels",
        listed(Verb.LIST, Resource.EXPERIMENTS, body("experiment_ids[]", Identifier.EXPERIMENT_ID)),
    ),
    *rpc("GET", _MODEL, "GetLoggedModel", _GET),
    # MLflow finalizes the model that the body names, whatever the path says.
    *rpc(
        "PATCH",
        _MODEL,
        "FinalizeLoggedModel",
        all_of(_UPDATE, experiments(Verb.UPDATE, body("model_id", Identifier.LOGGED_MODEL_ID))),
    ),
    *rpc("DELETE", _MODEL, "DeleteLoggedModel", _UPDATE),
    *rpc("PATCH", f"{_MODEL}/tags", "SetLoggedModelTags", _UPDATE),
    *rpc("DELETE", f"{_MODEL}/tags/{{tag_key}}", "DeleteLoggedModelTag", _UPDATE),
    *rpc("POST", f"{_MODEL}/params", "LogLoggedModelParamsRequest", _UPDATE),
    *rpc("GET", f"{_MODEL}/artifacts/directories", "ListLoggedModelArtifacts", _GET),
    *ajax("GET", f"{_MODEL}/artifacts/files", "GetLoggedModelArtifact", _GET),
)
