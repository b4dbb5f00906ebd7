"""The RBAC name that an MLflow identifier leads to: one SELECT for each kind, of :mod:`.tables`."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any, Final

from mlflow.store.tracking.dbmodels import models
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from workspace_authz.catalog.model import Identifier
from workspace_authz.mlflow_adapter.store.tables import EXPERIMENT_TABLES, NAMED_TABLES
from workspace_authz.types import Resource

IN_EXPERIMENT: Final = frozenset({*EXPERIMENT_TABLES, Identifier.JOB_ID})
"""Identifiers of what has no name of its own and lies in an experiment."""

_GATEWAY_ENDPOINT: Final = "mlflow.gateway.endpointId"
"""``TraceMetadataKey.GATEWAY_ENDPOINT_ID``: the mark of a trace that the AI gateway has recorded."""
_LARGEST_INTEGER: Final = 2**31 - 1
_LONGEST_KEY: Final = 256


def experiment_ids_in(
    session: Session, *, identifier: Identifier, values: Collection[str], workspace: str
) -> dict[str, str]:
    """The id of the experiment of each object that ``values`` identify, in whatever workspace, by value.

    ``identifier`` is one of :data:`IN_EXPERIMENT`.
    """
    wanted = _possible(values)
    if identifier is Identifier.JOB_ID:
        return _jobs(session, wanted, workspace=workspace)
    table_name, key_name = EXPERIMENT_TABLES[identifier]
    table: Any = getattr(models, table_name, None)
    if table is None:
        return {}
    key = getattr(table, key_name)
    query = select(key, table.experiment_id).where(key.in_(wanted))
    return {value: str(experiment) for value, experiment in _exactly(session.execute(query), wanted).items()}


def names_in(
    session: Session, *, resource: Resource, identifier: Identifier, values: Collection[str], workspace: str
) -> dict[str, str]:
    """The names of those objects of ``workspace`` that ``values`` identify; what is not found is left out.

    ``identifier`` is none of :data:`IN_EXPERIMENT`.
    """
    wanted = _possible(values)
    if identifier is Identifier.EXPERIMENT_ID:
        return _experiments(session, wanted, workspace=workspace)
    query = _query(resource, identifier, wanted=wanted, workspace=workspace)
    return {} if query is None else _exactly(session.execute(query), wanted)


def _possible(values: Collection[str]) -> set[str]:
    return {value for value in values if 0 < len(value) <= _LONGEST_KEY and "\0" not in value}


def _query(
    resource: Resource, identifier: Identifier, *, wanted: Collection[str], workspace: str
) -> Select[Any] | None:
    if (resource, identifier) == (Resource.GATEWAY_SECRETS, Identifier.MODEL_DEFINITION_ID):
        definition, secret = models.SqlGatewayModelDefinition, models.SqlGatewaySecret
        return (
            select(definition.model_definition_id, secret.secret_name)
            .join(secret, secret.secret_id == definition.secret_id)
            .where(
                definition.workspace == workspace,
                secret.workspace == workspace,
                definition.model_definition_id.in_(wanted),
            )
        )
    if identifier is Identifier.GATEWAY_TRACE_ID:
        trace, metadata, experiment = models.SqlTraceInfo, models.SqlTraceMetadata, models.SqlExperiment
        return (
            select(metadata.request_id, metadata.value)
            .join(trace, trace.request_id == metadata.request_id)
            .join(experiment, experiment.experiment_id == trace.experiment_id)
            .where(
                metadata.key == _GATEWAY_ENDPOINT,
                metadata.request_id.in_(wanted),
                experiment.workspace == workspace,
            )
        )
    named = NAMED_TABLES.get(resource)
    if named is None or named.identifier is not identifier:
        return None
    table = getattr(models, named.table, None)
    if table is None:
        return None
    key = getattr(table, named.key)
    return select(key, getattr(table, named.name)).where(table.workspace == workspace, key.in_(wanted))


def _experiments(session: Session, wanted: Collection[str], *, workspace: str) -> dict[str, str]:
    # MLflow reads " 7", "007" and "7_0" as numbers too; only the one spelling that it prints counts here.
    numbers = {int(value) for value in wanted if value.isascii() and value.isdigit() and len(value) <= 10}
    experiment = models.SqlExperiment
    query = select(experiment.experiment_id, experiment.name).where(
        experiment.workspace == workspace,
        experiment.experiment_id.in_({number for number in numbers if number <= _LARGEST_INTEGER}),
    )
    return _exactly(session.execute(query), wanted)


def _jobs(session: Session, wanted: Collection[str], *, workspace: str) -> dict[str, str]:
    job = models.SqlJob
    query = select(job.id, job.params).where(job.workspace == workspace, job.id.in_(wanted))
    return {
        key: experiment
        for key, params in session.execute(query)
        if key in wanted and isinstance(experiment := _experiment_of(params), str)
    }


def _experiment_of(params: str) -> object:
    try:
        document = json.loads(params)
    except ValueError:
        return None
    return document.get("experiment_id") if isinstance(document, dict) else None


def _exactly(rows: Iterable[Any], wanted: Collection[str]) -> dict[str, str]:
    """The rows whose key is spelled exactly as it was sent: MySQL compares strings without regard to case."""
    return {str(key): name for key, name in rows if str(key) in wanted and name}
