"""The rows of sessions. Nothing in here knows what is sealed in them.

Each function asks the database, may block, and raises ``SQLAlchemyError``. Times are in milliseconds since
the epoch.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from sqlalchemy import Engine, delete, insert, or_, select, update

from workspace_authz.database.schema import SESSIONS


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session. ``digest`` and ``owner`` are SHA-256 in hexadecimal digits."""

    digest: str
    owner: str
    sealed: bytes = field(repr=False)
    created_at: int
    seen_at: int
    ends_at: int


def add_session(engine: Engine, row: SessionRow, *, most: int) -> None:
    """Insert a session, and delete the oldest of its owner beyond ``most``."""
    owned = select(SESSIONS.c.digest).where(SESSIONS.c.owner == row.owner)
    with engine.begin() as connection:
        connection.execute(insert(SESSIONS).values(**asdict(row), renewing_until=0))
        surplus = connection.execute(owned.order_by(SESSIONS.c.created_at.desc()).offset(most).limit(most))
        if digests := surplus.scalars().all():
            connection.execute(delete(SESSIONS).where(SESSIONS.c.digest.in_(digests)))


def find_session(engine: Engine, digest: str) -> SessionRow | None:
    """The session, whether it has ended or not; None where there is none."""
    query = select(SESSIONS).where(SESSIONS.c.digest == digest)
    with engine.connect() as connection:
        found = connection.execute(query).mappings().one_or_none()
    if found is None:
        return None
    return SessionRow(
        digest=found["digest"],
        owner=found["owner"],
        sealed=bytes(found["sealed"]),
        created_at=found["created_at"],
        seen_at=found["seen_at"],
        ends_at=found["ends_at"],
    )


def mark_seen(engine: Engine, digest: str, *, now: int) -> None:
    """Note that the session is in use."""
    with engine.begin() as connection:
        connection.execute(update(SESSIONS).where(SESSIONS.c.digest == digest).values(seen_at=now))


def take_renewal(engine: Engine, digest: str, *, now: int, until: int) -> bool:
    """Whether this process may renew the session. No other one may before ``until``."""
    free = (SESSIONS.c.digest == digest) & (SESSIONS.c.renewing_until <= now)
    with engine.begin() as connection:
        return connection.execute(update(SESSIONS).where(free).values(renewing_until=until)).rowcount == 1


def put_renewed(engine: Engine, digest: str, *, sealed: bytes) -> bool:
    """Replace what is sealed, and let others renew it again. False where the session is gone."""
    with engine.begin() as connection:
        changed = connection.execute(
            update(SESSIONS).where(SESSIONS.c.digest == digest).values(sealed=sealed, renewing_until=0)
        )
        return changed.rowcount == 1


def delete_session(engine: Engine, digest: str) -> None:
    """Delete the session, if it is there."""
    with engine.begin() as connection:
        connection.execute(delete(SESSIONS).where(SESSIONS.c.digest == digest))


def delete_ended(engine: Engine, *, now: int, unseen_since: int) -> None:
    """Delete the sessions that have ended or have not been used since."""
    ended = or_(SESSIONS.c.ends_at <= now, SESSIONS.c.seen_at <= unseen_since)
    with engine.begin() as connection:
        connection.execute(delete(SESSIONS).where(ended))
