"""What a driver says of a database, as an operator's log shows it."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError

from workspace_authz.mlflow_adapter.store.engines import without_secrets

URL = make_url("postgresql+psycopg2://mlflow:correct-horse@db/mlflow?sslpassword=battery-staple")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("no answer from correct-horse@db", "no answer from ***@db"),
        ('could not read the key with "battery-staple"', 'could not read the key with "***"'),
        ("first line\n  of two", "first line"),
    ],
)
def test_it_is_one_line_without_passwords(said: str, shown: str) -> None:
    error = OperationalError("SELECT 1", {}, Exception(said))
    assert without_secrets(error, URL) == shown
