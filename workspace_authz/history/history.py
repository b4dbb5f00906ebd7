"""Decisions on their way into MLflow's database, off the way of the requests.

What one user, or all of them, can make the server keep is bounded: in memory, in a moment, and in the table.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import DataError, IntegrityError

from workspace_authz.aio.clock import Clock
from workspace_authz.database.audit import (
    ID_BITS,
    AuditRow,
    Bounds,
    Wanted,
    add_rows,
    prepare,
    prune,
    read_rows,
)
from workspace_authz.database.threads import DatabaseThreads
from workspace_authz.errors import TooManyRequestsError, UnavailableError
from workspace_authz.history.events import AskedRight, Event, decoded_checks, encoded_checks, storable

FLUSH_SECONDS: Final = 2.0
"""How long equal decisions are gathered, and so how old what is shown may be."""
MOST_WAITING: Final = 2_000
"""Different decisions of one such time that a worker keeps. More are dropped, and counted."""
MOST_OF_USER: Final = 200
"""Of one user among them."""
_RETRY_SECONDS: Final = 10.0
"""Between tries while the database is away. Each leaves a line in the log."""
_PRUNE_SECONDS: Final = 600.0
_WRITE_SECONDS: Final = 8.0
_LAST_SECONDS: Final = 1.5
"""For a write while the server stops."""
_DAY_MS: Final = 24 * 3600 * 1000

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Seen:
    """When equal decisions were made."""

    first: int
    last: int
    times: int = 1


@dataclass(frozen=True, slots=True)
class _Batch:
    """Decisions that are written together. The first row gets the id ``number``, the others follow."""

    number: int
    seen: Mapping[Event, _Seen]
    tried: bool = False
    """They may be in the table already."""

    @property
    def decisions(self) -> int:
        """How many there are."""
        return sum(seen.times for seen in self.seen.values())

    def rows(self) -> Sequence[AuditRow]:
        """As rows. Takes some milliseconds, so it must not run on the event loop."""
        return [
            _row(self.number + place, event, seen=seen)
            for place, (event, seen) in enumerate(self.seen.items())
        ]


@dataclass(frozen=True, slots=True)
class Kept:
    """Equal decisions of a moment, read again."""

    row: AuditRow
    asked: Sequence[AskedRight]
    left_out: int
    """How many more questions there were."""


class History:
    """Run :meth:`run` and :meth:`run_pruning` in supervised tasks, and :meth:`close` it at the end.

    ``database`` is written to and pruned; ``readers`` serve whoever looks, who must not delay the writing.
    ``uid_of`` gives the UID of a workspace's namespace out of memory, None for one that is not known.
    """

    def __init__(
        self,
        database: DatabaseThreads,
        readers: DatabaseThreads,
        *,
        days: int,
        bounds: Bounds,
        clock: Clock,
        uid_of: Callable[[str], str | None],
    ) -> None:
        self.days = days
        self.uid_of = uid_of
        self.dropped = 0
        """Decisions that were not kept: there were too many, or the database took none."""
        self._database = database
        self._readers = readers
        self._looking: set[str] = set()
        self._bounds = bounds
        self._clock = clock
        self._waiting: dict[Event, _Seen] = {}
        self._of_user: Counter[str] = Counter()
        self._batch: _Batch | None = None
        self._prepared = False

    def note(self, event: Event) -> None:
        """Take one decision. Never blocks and never raises."""
        now = self._now()
        seen = self._waiting.get(event)
        if seen is not None:
            seen.last = now
            seen.times += 1
            return
        if len(self._waiting) >= MOST_WAITING or self._of_user[event.username] >= MOST_OF_USER:
            self.dropped += 1
            return
        self._waiting[event] = _Seen(now, now)
        self._of_user[event.username] += 1

    @contextmanager
    def look(self, owner: str) -> Iterator[None]:
        """One look at a time for each user, so that nobody keeps others from looking.

        Raises :class:`TooManyRequestsError`.
        """
        if owner in self._looking:
            raise TooManyRequestsError("You are looking at what was decided already; wait for the answer.")
        self._looking.add(owner)
        try:
            yield
        finally:
            self._looking.discard(owner)

    async def read(self, wanted: Wanted, *, most: int) -> Sequence[Kept]:
        """The newest ``most`` of them, the newest first; nothing older than :attr:`days`.

        Raises :class:`UnavailableError`.
        """
        return await self._readers.ask(partial(self._read, wanted, most))

    async def run(self) -> None:
        """Write what was noted, again and again until cancelled."""
        while True:
            await self._clock.sleep(FLUSH_SECONDS if self._batch is None else _RETRY_SECONDS)
            await self.flush()

    async def run_pruning(self) -> None:
        """Prune the table, again and again until cancelled. Not all workers do so at the same time."""
        await self._clock.sleep(secrets.randbelow(int(_PRUNE_SECONDS)))
        while True:
            with suppress(UnavailableError):  # the next one does it
                await self._database.ask(self._prune, seconds=_PRUNE_SECONDS)
            await self._clock.sleep(_PRUNE_SECONDS)

    async def flush(self, *, seconds: float = _WRITE_SECONDS) -> None:
        """Write what was noted. What the database does not take now is tried again before anything else."""
        batch = self._batch = self._batch or self._gathered()
        if batch is None:
            return
        try:
            await self._database.ask(partial(self._write, batch), seconds=seconds)
        except UnavailableError:
            self._batch = replace(batch, tried=True)
            self._prepared = False  # perhaps somebody has dropped the table
        else:
            self._batch = None

    async def close(self) -> None:
        """Write what is left, if the database takes it at once."""
        for _ in range(2):
            await self.flush(seconds=_LAST_SECONDS)
        left = _Batch(0, self._waiting).decisions + (self._batch.decisions if self._batch else 0)
        if left:
            _log.warning("%d decisions are missing on the audit page: the database was away", left)

    def _gathered(self) -> _Batch | None:
        if not self._waiting:
            return None
        waiting, self._waiting = self._waiting, {}
        self._of_user.clear()
        number = (self._now() << ID_BITS) + secrets.randbelow((1 << ID_BITS) - MOST_WAITING)
        return _Batch(number, waiting)

    def _engine(self) -> Engine:
        engine = self._database.engine()
        if not self._prepared:
            prepare(engine)
            self._prepared = True
        return engine

    def _write(self, batch: _Batch) -> None:
        if self._database.engine_if_any() is None:
            return  # MLflow keeps its data in files, and so nobody can look
        try:
            add_rows(self._engine(), batch.rows())
        except DataError:
            # A database whose character set lacks a letter of somebody's name must not stop all that follows.
            self.dropped += batch.decisions
        except IntegrityError:
            # The first try succeeded although its answer was lost, or another worker has one of the ids.
            if not batch.tried:
                self.dropped += batch.decisions

    def _prune(self) -> None:
        if self._database.engine_if_any() is not None:
            prune(self._engine(), since=self._since(), bounds=self._bounds)

    def _read(self, wanted: Wanted, most: int) -> Sequence[Kept]:
        since = self._since()
        rows = read_rows(self._engine(), wanted, most=most)
        return [Kept(row, *decoded_checks(row.checks)) for row in rows if row.last_at >= since]

    def _now(self) -> int:
        return int(self._clock.time() * 1000)

    def _since(self) -> int:
        return self._now() - self.days * _DAY_MS


def _row(number: int, event: Event, *, seen: _Seen) -> AuditRow:
    return AuditRow(
        id=number,
        namespace_uid=event.namespace_uid,
        owner=event.owner,
        username=storable(event.username),
        method=storable(event.method)[:16],
        operation=storable(event.operation)[:128],
        changed=storable(event.changed),
        decision=event.decision,
        status=event.status,
        code=storable(event.code)[:64],
        checks=encoded_checks(event),
        first_at=seen.first,
        last_at=seen.last,
        times=seen.times,
    )
