"""The tables of MLflow's database in which look-ups find names, and the operations that need them.

They are named as strings: nothing here imports MLflow.

An older MLflow without a table (label schemas, review queues) has no such objects, which is no error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from workspace_authz.catalog.model import Guarded, Identifier, Requirement, Restriction
from workspace_authz.catalog.routes import all_routes
from workspace_authz.types import Resource

TRACKING: Final = "mlflow.store.tracking.dbmodels.models"
REGISTRY: Final = "mlflow.store.model_registry.dbmodels.models"

DEFAULT_WORKSPACE: Final = "default"
"""``mlflow.utils.workspace_utils.DEFAULT_WORKSPACE_NAME``. Without workspaces, all data are there."""

EXPERIMENT_TABLES: Final[Mapping[Identifier, tuple[str, str]]] = {
    Identifier.RUN_ID: ("SqlRun", "run_uuid"),
    Identifier.TRACE_ID: ("SqlTraceInfo", "request_id"),
    Identifier.NEW_TRACE_ID: ("SqlTraceInfo", "request_id"),
    Identifier.LOGGED_MODEL_ID: ("SqlLoggedModel", "model_id"),
    Identifier.ISSUE_ID: ("SqlIssue", "issue_id"),
    Identifier.LABEL_SCHEMA_ID: ("SqlLabelSchema", "schema_id"),
    Identifier.REVIEW_QUEUE_ID: ("SqlReviewQueue", "queue_id"),
    Identifier.SCORER_ID: ("SqlScorer", "scorer_id"),
}
"""Things of an experiment: table and key. All of them have the column ``experiment_id``."""


@dataclass(frozen=True, slots=True)
class NamedTable:
    """The table of objects that have a name of their own. All of them have the column ``workspace``."""

    table: str
    key: str
    """What MLflow's answers know an object by. Where MLflow has no id, that is the name."""
    name: str
    """The name in Kubernetes."""
    identifier: Identifier | None = None
    """How requests name an object, if not by its name."""
    module: str = TRACKING
    organization: str = ""
    """The column of an organization, if that belongs to the name."""


NAMED_TABLES: Final[Mapping[Resource, NamedTable]] = {
    Resource.EXPERIMENTS: NamedTable("SqlExperiment", "experiment_id", "name", Identifier.EXPERIMENT_ID),
    Resource.REGISTERED_MODELS: NamedTable("SqlRegisteredModel", "name", "name", module=REGISTRY),
    Resource.DATASETS: NamedTable("SqlEvaluationDataset", "dataset_id", "name", Identifier.DATASET_ID),
    Resource.MCP_SERVERS: NamedTable("SqlMCPServer", "name", "name"),
    Resource.SKILLS: NamedTable("SqlSkill", "name", "name", organization="organization"),
    Resource.GATEWAY_ENDPOINTS: NamedTable(
        "SqlGatewayEndpoint", "endpoint_id", "name", Identifier.ENDPOINT_ID
    ),
    Resource.GATEWAY_SECRETS: NamedTable(
        "SqlGatewaySecret", "secret_id", "secret_name", Identifier.SECRET_ID
    ),
    Resource.GATEWAY_MODEL_DEFINITIONS: NamedTable(
        "SqlGatewayModelDefinition", "model_definition_id", "name", Identifier.MODEL_DEFINITION_ID
    ),
}

_ROUTES: Final = all_routes()
_LOOKED_UP_AS: Final[Mapping[Identifier, Identifier]] = {
    Identifier.ISSUE_MENTION: Identifier.ISSUE_ID,
    Identifier.MODEL_SOURCE_URI: Identifier.LOGGED_MODEL_ID,
}


@dataclass(frozen=True, slots=True)
class TableUse:
    """What look-ups in one table are for."""

    columns: frozenset[str]
    """Those that are used."""
    operations: frozenset[str]
    """Those whose verdict may depend on such a look-up."""


def table_uses() -> dict[tuple[str, str], TableUse]:
    """The use of each table, by its module and name."""
    uses: dict[tuple[str, str], TableUse] = {}
    for key, columns, operations in _uses():
        before = uses.get(key, TableUse(frozenset(), frozenset()))
        uses[key] = TableUse(before.columns.union(columns), before.operations | operations)
    return uses


def _uses() -> Iterator[tuple[tuple[str, str], Iterable[str], frozenset[str]]]:
    for identifier, (table, key) in EXPERIMENT_TABLES.items():
        yield (TRACKING, table), (key, "experiment_id"), _naming(identifier)
    yield (TRACKING, "SqlRun"), (), _naming(Identifier.MODEL_SOURCE_URI)
    yield (TRACKING, "SqlJob"), ("id", "params", "workspace"), _naming(Identifier.JOB_ID)
    for resource, named in NAMED_TABLES.items():
        operations = _listing(resource) | (_naming(named.identifier) if named.identifier else frozenset())
        yield (named.module, named.table), (named.key, named.name, "workspace"), operations
        if named.organization:
            yield (named.module, named.table), (named.organization,), operations
    yield (TRACKING, "SqlExperiment"), ("artifact_location",), frozenset()
    of_definition = _naming(Identifier.MODEL_DEFINITION_ID)
    yield (TRACKING, "SqlGatewaySecret"), (), of_definition
    yield (TRACKING, "SqlGatewayModelDefinition"), ("secret_id",), of_definition
    of_gateway = frozenset(
        route.operation for route in _ROUTES if Restriction.NO_GATEWAY_TRACE in route.restrictions
    )
    yield (TRACKING, "SqlTraceInfo"), (), of_gateway
    yield (TRACKING, "SqlTraceMetadata"), ("request_id", "key", "value"), of_gateway


def _naming(identifier: Identifier) -> frozenset[str]:
    """The operations whose requests name objects by ``identifier``, or by what is looked up as it."""
    return _demanding(
        lambda needed: any(
            identifier in (source.identifies, _LOOKED_UP_AS.get(source.identifies)) for source in needed.names
        )
    )


def _listing(resource: Resource) -> frozenset[str]:
    """The operations whose lists are kept to the objects of ``resource`` that a caller may see."""
    return _demanding(lambda needed: needed.listing is not None and needed.resource is resource)


def _demanding(wanted: Callable[[Requirement], bool]) -> frozenset[str]:
    return frozenset(
        route.operation
        for route in _ROUTES
        if isinstance(route.policy, Guarded) and any(map(wanted, route.policy.requirements))
    )
