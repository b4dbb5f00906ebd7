"""MLflow's own database in both kinds that a production server may have, with our tables beside."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine
from sqlalchemy import Engine

from tests.harness.postgres import Postgres

SQLITE, POSTGRES = "sqlite", "postgresql"


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Databases with MLflow's tables and nothing else, made when first needed: the SQLite file, the name."""
    return {SQLITE: str(tmp_path_factory.mktemp("template") / "mlflow.db")}


@pytest.fixture(params=[SQLITE, POSTGRES])
def url(request: pytest.FixtureRequest, templates: dict[str, str], tmp_path: Path) -> str:
    """A fresh database with MLflow's tables."""
    if request.param == SQLITE:
        template = Path(templates[SQLITE])
        if not template.exists():
            _make_tables(f"sqlite:///{template}")
        shutil.copyfile(template, tmp_path / "mlflow.db")
        return f"sqlite:///{tmp_path / 'mlflow.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    if POSTGRES not in templates:
        name = server.database()
        _make_tables(server.url(name))
        templates[POSTGRES] = name
    return server.url(server.database(template=templates[POSTGRES]))


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """MLflow's engine for it."""
    engine: Engine = create_sqlalchemy_engine(url)
    yield engine
    engine.dispose()


def _make_tables(url: str) -> None:
    engine = create_sqlalchemy_engine(url)
    _initialize_tables(engine)
    engine.dispose()
