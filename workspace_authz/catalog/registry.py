"""Registered models, prompts (registered models with a tag), their versions, and webhooks."""

from __future__ import annotations

from typing import Final

from workspace_authz.catalog.build import (
    all_of,
    at_path,
    body,
    experiments,
    models,
    query,
    response,
    restricted,
    rpc,
    search,
)
from workspace_authz.catalog.model import Identifier, Restriction, Route
from workspace_authz.types import Resource, Verb

_NAME: Final = body("name")
_GET: Final = models(Verb.GET, _NAME)
_UPDATE: Final = models(Verb.UPDATE, _NAME)
_SOURCE: Final = body("source", Identifier.MODEL_SOURCE_URI)

_MODELS: Final = "2.0/mlflow/registered-models"
_MODEL_ROUTES: Final[tuple[Route, ...]] = (
    *rpc("POST", f"{_MODELS}/create", "CreateRegisteredModel", models(Verb.CREATE)),
    *rpc("GET", f"{_MODELS}/get", "GetRegisteredModel", _GET),
    *rpc(
        "GET",
        f"{_MODELS}/search",
        "SearchRegisteredModels",
        search(Resource.REGISTERED_MODELS, response("registered_models[].name")),
    ),
    *rpc("PATCH", f"{_MODELS}/update", "UpdateRegisteredModel", _UPDATE),
    *rpc(
        "POST",
        f"{_MODELS}/rename",
        "RenameRegisteredModel",
        all_of(_UPDATE, models(Verb.UPDATE, body("new_name"))),
    ),
    *rpc("DELETE", f"{_MODELS}/delete", "DeleteRegisteredModel", models(Verb.DELETE, _NAME)),
    *rpc("POST", f"{_MODELS}/set-tag", "SetRegisteredModelTag", _UPDATE),
    *rpc("DELETE", f"{_MODELS}/delete-tag", "DeleteRegisteredModelTag", _UPDATE),
    *rpc("GET", f"{_MODELS}/get-latest-versions", "GetLatestVersions", _GET),
    *rpc("POST", f"{_MODELS}/get-latest-versions", "GetLatestVersions", _GET),
    *rpc("GET", f"{_MODELS}/alias", "GetModelVersionByAlias", _GET),
    *rpc("POST", f"{_MODELS}/alias", "SetRegisteredModelAlias", _UPDATE),
    *rpc("DELETE", f"{_MODELS}/alias", "DeleteRegisteredModelAlias", _UPDATE),
)

_VERSIONS: Final = "2.0/mlflow/model-versions"
_VERSION_ROUTES: Final[tuple[Route, ...]] = (
    *restricted(
        Restriction.OWN_SOURCE,
        rpc(
            "POST",
            f"{_VERSIONS}/create",
            "CreateModelVersion",
            all_of(
                _UPDATE,
                experiments(Verb.GET, body("run_id", Identifier.RUN_ID), when_present=True),
                experiments(Verb.GET, body("model_id", Identifier.LOGGED_MODEL_ID), when_present=True),
                experiments(Verb.GET, _SOURCE, when_present=True),
                models(Verb.GET, _SOURCE, when_present=True),
            ),
        ),
    ),
    *rpc("GET", f"{_VERSIONS}/get", "GetModelVersion", _GET),
    *rpc("GET", f"{_VERSIONS}/get-download-uri", "GetModelVersionDownloadUri", _GET),
    *rpc(
        "GET",
        f"{_VERSIONS}/search",
        "SearchModelVersions",
        search(Resource.REGISTERED_MODELS, response("model_versions[].name")),
    ),
    *rpc("PATCH", f"{_VERSIONS}/update", "UpdateModelVersion", _UPDATE),
    *rpc("POST", f"{_VERSIONS}/transition-stage", "TransitionModelVersionStage", _UPDATE),
    *rpc("DELETE", f"{_VERSIONS}/delete", "DeleteModelVersion", _UPDATE),
    *rpc("POST", f"{_VERSIONS}/set-tag", "SetModelVersionTag", _UPDATE),
    *rpc("DELETE", f"{_VERSIONS}/delete-tag", "DeleteModelVersionTag", _UPDATE),
    *at_path(
        "GET", "/model-versions/get-artifact", "GetModelVersionArtifact", models(Verb.GET, query("name"))
    ),
)

_WEBHOOKS: Final = "2.0/mlflow/webhooks"
_WEBHOOK: Final = f"{_WEBHOOKS}/{{webhook_id}}"
# A webhook hears of every model in the workspace, so its own name gives no right to it.
_READ_WEBHOOKS: Final = models(Verb.LIST)
_WRITE_WEBHOOKS: Final = models(Verb.UPDATE)
_WEBHOOK_ROUTES: Final[tuple[Route, ...]] = (
    *rpc("POST", _WEBHOOKS, "CreateWebhook", _WRITE_WEBHOOKS),
    *rpc("GET", _WEBHOOKS, "ListWebhooks", _READ_WEBHOOKS),
    *rpc("GET", _WEBHOOK, "GetWebhook", _READ_WEBHOOKS),
    *rpc("PATCH", _WEBHOOK, "UpdateWebhook", _WRITE_WEBHOOKS),
    *rpc("DELETE", _WEBHOOK, "DeleteWebhook", _WRITE_WEBHOOKS),
    *rpc("POST", f"{_WEBHOOK}/test", "TestWebhook", _WRITE_WEBHOOKS),
)

ROUTES: Final[tuple[Route, ...]] = (*_MODEL_ROUTES, *_VERSION_ROUTES, *_WEBHOOK_ROUTES)
