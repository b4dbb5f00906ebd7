"""Every object of MLflow that has a name of its own. A server must not read them all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from sqlalchemy import Engine, inspect, select

from workspace_authz.mlflow_adapter.store.tables import NAMED_TABLES, REGISTRY
from workspace_authz.types import Resource

_IS_PROMPT: Final = "mlflow.prompt.is_prompt"
"""``mlflow.prompt.constants.IS_PROMPT_TAG_KEY``."""


@dataclass(frozen=True, slots=True, order=True)
class NamedObject:
    """One object."""

    resource: Resource
    workspace: str
    name: str
    id: str
    """Where MLflow has no id, that is the name."""
    prompt: bool = False


def named_objects(engines: Iterable[Engine]) -> list[NamedObject]:
    """All of them, by resource, workspace and name. Raises ``SQLAlchemyError``."""
    return sorted({each for engine in engines for each in _in(engine)})


def _in(engine: Engine) -> Iterable[NamedObject]:
    present = set(inspect(engine).get_table_names())
    prompts = _prompts(engine)
    for resource, named in NAMED_TABLES.items():
        table: Any = getattr(import_module(named.module), named.table, None)
        if table is None or table.__tablename__ not in present or named.organization:
            continue
        columns = (table.workspace, getattr(table, named.name), getattr(table, named.key))
        with engine.connect() as connection:
            for workspace, name, key in connection.execute(select(*columns)):
                prompt = resource is Resource.REGISTERED_MODELS and (workspace, name) in prompts
                yield NamedObject(resource, workspace, name, str(key), prompt)


def _prompts(engine: Engine) -> set[tuple[str, str]]:
    tags: Any = import_module(REGISTRY).SqlRegisteredModelTag
    if not inspect(engine).has_table(tags.__tablename__):
        return set()
    query = select(tags.workspace, tags.name, tags.value).where(tags.key == _IS_PROMPT)
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    return {(workspace, name) for workspace, name, value in rows if str(value).lower() == "true"}
