"""Which of the given RBAC names are names of existing objects."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module

from sqlalchemy import select
from sqlalchemy.orm import Session

from workspace_authz.mlflow_adapter.store.tables import NAMED_TABLES
from workspace_authz.types import Resource


def existing_in(
    session: Session, *, resource: Resource, values: Collection[str], workspace: str
) -> dict[str, str]:
    """The objects of ``workspace`` whose name is one of ``values``: their names by id.

    Where MLflow has no id, the name is the id. Upper and lower case differ, although MySQL ignores that.
    """
    named = NAMED_TABLES[resource]
    table = getattr(import_module(named.module), named.table, None)
    if table is None:  # an older MLflow
        return {}
    column = getattr(table, named.name)
    query = select(getattr(table, named.key), column).where(table.workspace == workspace, column.in_(values))
    return {str(key): name for key, name in session.execute(query) if name in values}
