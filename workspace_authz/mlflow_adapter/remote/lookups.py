"""Which of MLflow's routes says what an identifier leads to, and where in its answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from workspace_authz.catalog.model import Identifier
from workspace_authz.types import Resource

EXPERIMENT: Final = "experiment_id"
_ID_IN_PATH: Final = re.compile(r"[A-Za-z0-9_-]{1,256}")
"""What may stand in a path. MLflow gives no other ids."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """How one object is asked for by its identifier."""

    path: str
    """Below the static prefix. ``{}`` is the identifier."""
    inside: tuple[str, ...]
    """The steps to the object in the answer."""
    key: str
    """The field that holds the identifier. It must be equal to what was asked for, letter by letter."""
    leads_to: str
    """The field that holds the name, or the id of the object's experiment."""
    parameter: str = ""
    """The query parameter of the identifier; empty where it stands in the path."""

    def question(self, value: str) -> tuple[str, Mapping[str, str]] | None:
        """The path and the query; None for what cannot be an identifier."""
        if self.parameter:
            return self.path, {self.parameter: value}
        return (self.path.format(quote(value, safe="")), {}) if _ID_IN_PATH.fullmatch(value) else None

    def result(self, document: Any, value: str) -> str | None:
        """What the answer says; None where it is about another object."""
        for step in self.inside:
            document = document.get(step) if isinstance(document, dict) else None
        if not isinstance(document, dict) or str(document.get(self.key)) != value:
            return None
        found = document.get(self.leads_to)
        return str(found) if found not in (None, "") else None


_V2: Final = "/api/2.0/mlflow"
_V3: Final = "/api/3.0/mlflow"

IN_EXPERIMENT: Final[Mapping[Identifier, Lookup]] = MappingProxyType(
    {
        Identifier.RUN_ID: Lookup(f"{_V2}/runs/get", ("run", "info"), "run_id", EXPERIMENT, "run_id"),
        Identifier.LOGGED_MODEL_ID: Lookup(
            f"{_V2}/logged-models/{{}}", ("model", "info"), "model_id", EXPERIMENT
        ),
        Identifier.ISSUE_ID: Lookup(f"{_V3}/issues/{{}}", ("issue",), "issue_id", EXPERIMENT),
        Identifier.LABEL_SCHEMA_ID: Lookup(
            f"{_V3}/label-schemas/get", ("label_schema",), "schema_id", EXPERIMENT, "schema_id"
        ),
        Identifier.REVIEW_QUEUE_ID: Lookup(
            f"{_V3}/review-queues/get", ("review_queue",), "queue_id", EXPERIMENT, "queue_id"
        ),
    }
)
"""Things that lie in an experiment, but for traces: :data:`TRACES`."""

NAMED: Final[Mapping[tuple[Resource, Identifier], Lookup]] = MappingProxyType(
    {
        (Resource.EXPERIMENTS, Identifier.EXPERIMENT_ID): Lookup(
            f"{_V2}/experiments/get", ("experiment",), EXPERIMENT, "name", EXPERIMENT
        ),
        (Resource.DATASETS, Identifier.DATASET_ID): Lookup(
            f"{_V3}/datasets/{{}}", ("dataset",), "dataset_id", "name"
        ),
        (Resource.GATEWAY_ENDPOINTS, Identifier.ENDPOINT_ID): Lookup(
            f"{_V3}/gateway/endpoints/get", ("endpoint",), "endpoint_id", "name", "endpoint_id"
        ),
        (Resource.GATEWAY_SECRETS, Identifier.SECRET_ID): Lookup(
            f"{_V3}/gateway/secrets/get", ("secret",), "secret_id", "secret_name", "secret_id"
        ),
        (Resource.GATEWAY_MODEL_DEFINITIONS, Identifier.MODEL_DEFINITION_ID): Lookup(
            f"{_V3}/gateway/model-definitions/get",
            ("model_definition",),
            "model_definition_id",
            "name",
            "model_definition_id",
        ),
        (Resource.GATEWAY_SECRETS, Identifier.MODEL_DEFINITION_ID): Lookup(
            f"{_V3}/gateway/model-definitions/get",
            ("model_definition",),
            "model_definition_id",
            "secret_name",
            "model_definition_id",
        ),
    }
)
"""Things that have names of their own."""

TRACES: Final = f"{_V3}/traces/batchGetInfos"
TRACE_KINDS: Final = frozenset({Identifier.TRACE_ID, Identifier.NEW_TRACE_ID, Identifier.GATEWAY_TRACE_ID})
MOST_TRACES: Final = 100
"""In one question."""
_ENDPOINT: Final = "mlflow.gateway.endpointId"
"""``TraceMetadataKey.GATEWAY_ENDPOINT_ID``: the mark of a trace that the AI gateway has recorded."""


def traces_in(document: Mapping[str, Any], *, identifier: Identifier) -> dict[str, str]:
    """What each trace in an answer of :data:`TRACES` leads to: its experiment, or the gateway's endpoint."""
    found = {}
    for info in document.get("trace_infos") or ():
        if identifier is Identifier.GATEWAY_TRACE_ID:
            leads_to = (info.get("trace_metadata") or {}).get(_ENDPOINT)
        else:
            location = (info.get("trace_location") or {}).get("mlflow_experiment") or {}
            leads_to = location.get(EXPERIMENT)
        if info.get("trace_id") and leads_to:
            found[str(info["trace_id"])] = str(leads_to)
    return found
