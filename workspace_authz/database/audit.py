"""The rows of what was decided lately: added in batches, read by pages, and pruned.

Each function asks the database, may block, and raises ``SQLAlchemyError``. Times are in milliseconds since
the epoch.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from sqlalchemy import ColumnElement, Engine, and_, delete, func, insert, select, true

from workspace_authz.database.schema import AUDIT, migrate

DECISIONS: Final = ("allow", "deny", "error")
ID_BITS: Final = 20
"""Of a row's id that tell rows of one millisecond apart."""
_CHUNK: Final = 500
"""Rows that are deleted at a time: nobody waits long for the lock of a table."""
_PAUSE_SECONDS: Final = 0.02
"""Between them, so that others get the lock."""
_MOST_CHUNKS: Final = 1_500
"""Of one pruning. The next one goes on."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """Equal decisions of a moment. Texts fit their columns."""

    id: int
    namespace_uid: str
    owner: str
    username: str
    method: str
    operation: str
    changed: str
    decision: str
    status: int
    code: str
    checks: str = field(repr=False)
    first_at: int
    last_at: int
    times: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many rows are kept. In each group the oldest go first."""

    of_all: int
    of_namespace: int = 100_000
    """Of those with one decision, so that refusals never push out what was done."""
    of_user: int = 10_000
    """In one namespace, with one decision."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows of a namespace are read."""

    namespace_uid: str
    owner: str = ""
    """Empty: everybody's."""
    decision: str = ""
    """Empty: all."""
    before: int | None = None
    """Only those with a smaller id."""


def prepare(engine: Engine) -> None:
    """Bring the tables up to date, and make the table again if an operator has dropped it."""
    migrate(engine)
    AUDIT.create(engine, checkfirst=True)


def add_rows(engine: Engine, rows: Sequence[AuditRow]) -> None:
    """Insert all of ``rows``, or none."""
    with engine.begin() as connection:
        connection.execute(insert(AUDIT), [asdict(row) for row in rows])


def read_rows(engine: Engine, wanted: Wanted, *, most: int) -> Sequence[AuditRow]:
    """The newest ``most`` rows, the newest first."""
    conditions = [AUDIT.c.namespace_uid == wanted.namespace_uid]
    if wanted.owner:
        conditions.append(AUDIT.c.owner == wanted.owner)
    if wanted.decision:
        conditions.append(AUDIT.c.decision == wanted.decision)
    if wanted.before is not None:
        conditions.append(AUDIT.c.id < wanted.before)
    query = select(AUDIT).where(*conditions).order_by(AUDIT.c.id.desc()).limit(most)
    with engine.connect() as connection:
        found = connection.execute(query).mappings().all()
    names = [each.name for each in fields(AuditRow)]
    return [AuditRow(**{name: row[name] for name in names}) for row in found]


def prune(engine: Engine, *, since: int, bounds: Bounds) -> int:
    """Delete what is older than ``since``, and what is beyond ``bounds``. Returns how many rows went."""
    deleted = 0
    for condition in _doomed(engine, since=since, bounds=bounds):
        for _ in range(_MOST_CHUNKS):
            count = _delete_some(engine, condition)
            deleted += count
            if count < _CHUNK:
                break
            time.sleep(_PAUSE_SECONDS)
    return deleted


def _doomed(engine: Engine, *, since: int, bounds: Bounds) -> Iterator[ColumnElement[bool]]:
    yield AUDIT.c.id < since << ID_BITS
    uid, owner = AUDIT.c.namespace_uid, AUDIT.c.owner
    for columns, most in (([uid, owner], bounds.of_user), ([uid], bounds.of_namespace)):
        for group in _groups_beyond(engine, columns, most=most):
            for decision in DECISIONS:
                yield from _oldest(engine, and_(group, AUDIT.c.decision == decision), most=most)
    yield from _oldest(engine, true(), most=bounds.of_all)


def _groups_beyond(
    engine: Engine, columns: Sequence[ColumnElement[Any]], *, most: int
) -> Sequence[ColumnElement[bool]]:
    """Groups with more than ``most`` rows of all decisions.

    They are counted in an index alone. On SQLite nobody writes while somebody reads.
    """
    query = select(*columns).group_by(*columns).having(func.count() > most)
    with engine.connect() as connection:
        found = connection.execute(query).all()
    return [and_(*(column == value for column, value in zip(columns, row, strict=True))) for row in found]


def _oldest(engine: Engine, condition: ColumnElement[bool], *, most: int) -> Iterator[ColumnElement[bool]]:
    """The rows with ``condition`` beyond the newest ``most``, if there are any."""
    last = _nth_newest(engine, condition, place=most)
    if last is not None:
        yield and_(condition, AUDIT.c.id <= last)


def _nth_newest(engine: Engine, condition: ColumnElement[bool], *, place: int) -> int | None:
    query = select(AUDIT.c.id).where(condition).order_by(AUDIT.c.id.desc()).offset(place).limit(1)
    with engine.connect() as connection:
        return connection.execute(query).scalar_one_or_none()


def _delete_some(engine: Engine, condition: ColumnElement[bool]) -> int:
    oldest = select(AUDIT.c.id).where(condition).order_by(AUDIT.c.id).limit(_CHUNK)
    with engine.begin() as connection:
        ids = connection.execute(oldest).scalars().all()
        if ids:
            connection.execute(delete(AUDIT).where(AUDIT.c.id.in_(ids)))
    return len(ids)
