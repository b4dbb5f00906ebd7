"""Which of the given RBAC names are names of existing objects."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from mlflow.store.model_registry.dbmodels import models as registry
from mlflow.store.tracking.dbmodels import models as tracking
from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from workspace_authz.catalog.model import skill_name
from workspace_authz.types import Resource

_TABLES: Final[Mapping[Resource, tuple[Any, str, str, str]]] = {
    Resource.EXPERIMENTS: (tracking, "SqlExperiment", "experiment_id", "name"),
    Resource.REGISTERED_MODELS: (registry, "SqlRegisteredModel", "name", "name"),
    Resource.DATASETS: (tracking, "SqlEvaluationDataset", "dataset_id", "name"),
    Resource.MCP_SERVERS: (tracking, "SqlMCPServer", "name", "name"),
    Resource.GATEWAY_ENDPOINTS: (tracking, "SqlGatewayEndpoint", "endpoint_id", "name"),
    Resource.GATEWAY_SECRETS: (tracking, "SqlGatewaySecret", "secret_id", "secret_name"),
    Resource.GATEWAY_MODEL_DEFINITIONS: (
        tracking,
        "SqlGatewayModelDefinition",
        "model_definition_id",
        "name",
    ),
}
"""Models, table, what MLflow's answers know an object by, and its name in Kubernetes."""


def existing_in(
    session: Session, *, resource: Resource, values: Collection[str], workspace: str
) -> dict[str, str]:
    """The objects of ``workspace`` whose name is one of ``values``: their names by id.

    Where MLflow has no id, the name is the id. Upper and lower case differ, although MySQL ignores that.
    """
    if resource is Resource.SKILLS:
        return _skills(session, values, workspace=workspace)
    module, name_of_table, key, name = _TABLES[resource]
    table = getattr(module, name_of_table, None)
    if table is None:  # an older MLflow
        return {}
    query = select(getattr(table, key), getattr(table, name)).where(
        table.workspace == workspace, getattr(table, name).in_(values)
    )
    return {str(key): name for key, name in session.execute(query) if name in values}


def _skills(session: Session, values: Collection[str], *, workspace: str) -> dict[str, str]:
    table = getattr(tracking, "SqlSkill", None)
    if table is None:  # before MLflow 3.18
        return {}
    wanted = [_organization_and_name(value) for value in values]
    query = select(table.organization, table.name).where(
        table.workspace == workspace, tuple_(table.organization, table.name).in_(wanted)
    )
    names = (skill_name(name, organization) for organization, name in session.execute(query))
    return {name: name for name in names if name in values}


def _organization_and_name(value: str) -> tuple[str, str]:
    if not value.startswith("@"):
        return "", value
    organization, _, name = value[1:].partition("/")
    return organization, name
