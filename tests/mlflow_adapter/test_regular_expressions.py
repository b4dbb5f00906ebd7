"""A search by a regular expression ends, whatever the expression."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.db.utils import create_sqlalchemy_engine
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import Pool

from workspace_authz.mlflow_adapter.patches import regular_expressions


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """As MLflow opens SQLite."""
    regular_expressions.apply()
    regular_expressions.apply()
    engine = create_sqlalchemy_engine(f"sqlite:///{tmp_path / 'x.db'}")
    yield engine
    engine.dispose()
    event.remove(Pool, "checkout", regular_expressions._replace)
    event.remove(Engine, "handle_error", regular_expressions._tell)


def found(engine: Engine, pattern: str | None, value: str | None) -> bool:
    with engine.connect() as connection:
        query = text("SELECT :value REGEXP :pattern")
        return bool(connection.execute(query, {"value": value, "pattern": pattern}).scalar())


def test_what_is_searched_for_is_found(engine: Engine) -> None:
    assert found(engine, "^run-[0-9]+$", "run-17")
    assert found(engine, "(?i)FÄHRE", "die fähre")
    assert found(engine, r'"a": "\\".*b', '{"a": "\\"a b"}')
    assert not found(engine, "^run-[0-9]+$", "a run-17")
    assert not found(engine, None, "a")
    assert not found(engine, "a", None)
    assert not found(engine, "(", "(")


def test_no_expression_takes_more_than_linear_time(engine: Engine) -> None:
    with pytest.raises(MlflowException, match="look-around"):
        found(engine, "(?=a)", "a")  # else the rest of this test would not end
    assert not found(engine, "(a|a)+$", "a" * 100_000 + "b")
    assert not found(engine, "a*a*a*a*a*b", "a" * 100_000)
    assert found(engine, "(" * 900 + "a" + ")" * 900, "a")


def test_an_expression_that_would_be_too_large_is_refused(engine: Engine) -> None:
    for pattern in ("((a{900}){900}){900}", "a" * 300_000):
        with pytest.raises(MlflowException, match="is not supported"):
            found(engine, pattern, "a")


def test_other_errors_of_the_database_stay_what_they_are(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(OperationalError, match="no such table"):
        connection.execute(text("SELECT 1 FROM nowhere WHERE 'a' REGEXP 'a'"))
