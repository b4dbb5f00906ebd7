"""Logged models, the model registry, webhooks, evaluation datasets."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tests.scenarios.recipes.model import Call, Recipe, recipe
from tests.scenarios.studio import Studio
from tests.scenarios.tracking_studio import NOBODY_LISTENS

_EVENTS = [{"entity": "REGISTERED_MODEL", "action": "CREATED"}]


def _logged(studio: Studio, **fields: object) -> Call:
    """MLflow wants the id of the path in the body, too."""
    model = {"model_id": studio.new_logged_model()}
    return Call(path=model, fields={**model, **fields})


LOGGED_MODELS: Mapping[str, Recipe] = {
    "CreateLoggedModel": recipe(
        lambda s: Call(
            fields={"experiment_id": s.experiment, "name": s.a_name("logged"), "source_run_id": s.run}
        )
    ),
    "SearchLoggedModels": recipe(lambda s: Call(fields={"experiment_ids": [s.experiment]})),
    "GetLoggedModel": recipe(lambda s: Call(path={"model_id": s.logged_model})),
    "FinalizeLoggedModel": recipe(lambda s: _logged(s, status="LOGGED_MODEL_READY")),
    "DeleteLoggedModel": recipe(lambda s: Call(path={"model_id": s.new_logged_model()})),
    "SetLoggedModelTags": recipe(
        lambda s: Call(path={"model_id": s.logged_model}, fields={"tags": [{"key": "k", "value": "v"}]})
    ),
    "DeleteLoggedModelTag": recipe(lambda s: Call(path={"model_id": s.new_logged_model(), "tag_key": "t"})),
    "LogLoggedModelParamsRequest": recipe(lambda s: _logged(s, params=[{"key": "p", "value": "1"}])),
    "ListLoggedModelArtifacts": recipe(lambda s: Call(path={"model_id": s.logged_model})),
    "GetLoggedModelArtifact": recipe(
        lambda s: Call(path={"model_id": s.logged_model}, query={"artifact_file_path": "MLmodel"})
    ),
}

MODELS: Mapping[str, Recipe] = {
    "CreateRegisteredModel": recipe(lambda s: Call(fields={"name": s.a_name("model")})),
    "GetRegisteredModel": recipe(lambda s: Call(fields={"name": s.model})),
    "SearchRegisteredModels": recipe(lambda _: Call(fields={"max_results": 5})),
    "UpdateRegisteredModel": recipe(lambda s: Call(fields={"name": s.model, "description": "d"})),
    "RenameRegisteredModel": recipe(
        lambda s: Call(fields={"name": s.new_model(), "new_name": s.a_name("renamed")})
    ),
    "DeleteRegisteredModel": recipe(lambda s: Call(fields={"name": s.new_model()})),
    "SetRegisteredModelTag": recipe(lambda s: Call(fields={"name": s.model, "key": "k", "value": "v"})),
    "DeleteRegisteredModelTag": recipe(lambda s: Call(fields={"name": s.new_model(), "key": "t"})),
    "GetLatestVersions": recipe(lambda s: Call(fields={"name": s.model})),
    "GetModelVersionByAlias": recipe(lambda s: Call(fields={"name": s.model, "alias": "best"})),
    "SetRegisteredModelAlias": recipe(
        lambda s: Call(fields={"name": s.model, "alias": "other", "version": "1"})
    ),
    "DeleteRegisteredModelAlias": recipe(lambda s: Call(fields={"name": s.model, "alias": "other"})),
    "CreateModelVersion": recipe(
        lambda s: Call(
            fields={
                "name": s.model,
                "source": f"models:/{s.logged_model}",
                "run_id": s.run,
                "model_id": s.logged_model,
            }
        )
    ),
    "GetModelVersion": recipe(lambda s: Call(fields={"name": s.model, "version": "1"})),
    "GetModelVersionDownloadUri": recipe(lambda s: Call(fields={"name": s.model, "version": "1"})),
    "SearchModelVersions": recipe(lambda _: Call(fields={"max_results": 5})),
    "UpdateModelVersion": recipe(
        lambda s: Call(fields={"name": s.model, "version": "1", "description": "d"})
    ),
    "TransitionModelVersionStage": recipe(
        lambda s: Call(fields={"name": s.model, "version": "1", "stage": "Staging"})
    ),
    "DeleteModelVersion": recipe(lambda s: Call(fields={"name": s.new_versioned_model(), "version": "1"})),
    "SetModelVersionTag": recipe(
        lambda s: Call(fields={"name": s.model, "version": "1", "key": "k", "value": "v"})
    ),
    "DeleteModelVersionTag": recipe(
        lambda s: Call(fields={"name": s.new_versioned_model(), "version": "1", "key": "t"})
    ),
    "GetModelVersionArtifact": recipe(
        lambda s: Call(query={"name": s.model, "version": "1", "path": "MLmodel"})
    ),
    "CreateWebhook": recipe(
        lambda s: Call(fields={"name": s.a_name("hook"), "url": NOBODY_LISTENS, "events": _EVENTS})
    ),
    "ListWebhooks": recipe(lambda _: Call(fields={"max_results": 5})),
    "GetWebhook": recipe(lambda s: Call(path={"webhook_id": s.new_webhook()})),
    "UpdateWebhook": recipe(
        lambda s: Call(path={"webhook_id": s.new_webhook()}, fields={"description": "d"})
    ),
    "DeleteWebhook": recipe(lambda s: Call(path={"webhook_id": s.new_webhook()})),
    "TestWebhook": recipe(lambda s: Call(path={"webhook_id": s.new_webhook()}, fields={})),
}

DATASETS: Mapping[str, Recipe] = {
    "CreateDataset": recipe(
        lambda s: Call(fields={"name": s.a_name("dataset"), "experiment_ids": [s.experiment]})
    ),
    "SearchEvaluationDatasets": recipe(lambda s: Call(fields={"experiment_ids": [s.experiment]})),
    "GetDataset": recipe(lambda s: Call(path={"dataset_id": s.dataset})),
    "DeleteDataset": recipe(lambda s: Call(path={"dataset_id": s.new_dataset()})),
    "SetDatasetTags": recipe(
        lambda s: Call(path={"dataset_id": s.dataset}, fields={"tags": json.dumps({"t": "v"})})
    ),
    "DeleteDatasetTag": recipe(lambda s: Call(path={"dataset_id": s.dataset, "key": "t"})),
    "GetDatasetRecords": recipe(lambda s: Call(path={"dataset_id": s.dataset})),
    "UpsertDatasetRecords": recipe(
        lambda s: Call(
            path={"dataset_id": s.dataset}, fields={"records": json.dumps([{"inputs": {"q": "!"}}])}
        )
    ),
    "DeleteDatasetRecords": recipe(
        lambda s: Call(path={"dataset_id": s.dataset}, fields={"dataset_record_ids": ["dr-none"]})
    ),
    "GetDatasetExperimentIds": recipe(lambda s: Call(path={"dataset_id": s.dataset})),
    "AddDatasetToExperiments": recipe(
        lambda s: Call(path={"dataset_id": s.dataset}, fields={"experiment_ids": [s.new_experiment()]})
    ),
    "RemoveDatasetFromExperiments": recipe(
        lambda s: Call(path={"dataset_id": s.new_dataset()}, fields={"experiment_ids": [s.experiment]})
    ),
}

RECIPES: Mapping[str, Recipe] = {**LOGGED_MODELS, **MODELS, **DATASETS}

MINIMAL: Mapping[str, Recipe] = {
    "CreateLoggedModel": recipe(
        lambda s: Call(fields={"experiment_id": s.experiment, "name": s.a_name("logged")}),
        absent="source_run_id",
    ),
    "CreateModelVersion": recipe(
        lambda s: Call(fields={"name": s.prompt, "source": "dummy-source", "tags": s.prompt_tags}),
        absent="run_id model_id source",
    ),
    "CreateDataset": recipe(lambda s: Call(fields={"name": s.a_name("dataset")}), absent="experiment_ids[]"),
}
"""The same operations without the names on which further rights depend."""
