"""Which of the given RBAC names are names of existing objects."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from workspace_authz.catalog.model import skill_name
from workspace_authz.mlflow_adapter.store.tables import NAMED_TABLES, NamedTable
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
    if named.organization:
        return _skills(session, table, named=named, values=values, workspace=workspace)
    column = getattr(table, named.name)
    query = select(getattr(table, named.key), column).where(table.workspace == workspace, column.in_(values))
    return {str(key): name for key, name in session.execute(query) if name in values}


def _skills(
    session: Session, table: Any, *, named: NamedTable, values: Collection[str], workspace: str
) -> dict[str, str]:
    """The same where a name has two columns."""
    columns = getattr(table, named.name), getattr(table, named.organization)
    wanted = [_name_and_organization(value) for value in values]
    query = select(*columns).where(table.workspace == workspace, tuple_(*columns).in_(wanted))
    names = (skill_name(name, organization) for name, organization in session.execute(query))
    return {name: name for name in names if name in values}


def _name_and_organization(value: str) -> tuple[str, str]:
    if not value.startswith("@"):
        return value, ""
    organization, _, name = value[1:].partition("/")
    return name, organization
