"""Keys that all workers and replicas of a server share. Each is made once and kept in MLflow's database."""

from __future__ import annotations

import secrets
from typing import Final

from sqlalchemy import Engine, select

from workspace_authz.database.schema import KEYS, insert_if_absent, migrate, now_ms

KEY_BYTES: Final = 32


def shared_key(engine: Engine, purpose: str) -> bytes:
    """The server's key for ``purpose`` (at most 64 characters). The first process that asks makes it.

    It has :data:`KEY_BYTES` bytes. Each call asks the database and may block. Raises ``SQLAlchemyError``.
    """
    migrate(engine)
    query = select(KEYS.c.value).where(KEYS.c.purpose == purpose)
    with engine.connect() as connection:
        found = connection.execute(query).scalar_one_or_none()
    if found is None:
        values = {"purpose": purpose, "value": secrets.token_bytes(KEY_BYTES), "made_at": now_ms()}
        insert_if_absent(engine, KEYS, values=values)
        with engine.connect() as connection:
            found = connection.execute(query).scalar_one()
    return bytes(found)
