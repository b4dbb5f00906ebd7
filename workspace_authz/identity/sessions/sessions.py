"""The sessions of all workers and replicas, in a table of ours in MLflow's database.

A session is read for every request that comes with its cookie. So after signing out, a copy of the cookie is
worth nothing on any replica, at once.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from sqlalchemy import Engine

from workspace_authz.aio.clock import Clock
from workspace_authz.aio.coalesce import Coalescer
from workspace_authz.aio.statistics import Statistics
from workspace_authz.database import sessions as rows
from workspace_authz.database.schema import migrate
from workspace_authz.database.threads import DatabaseThreads
from workspace_authz.errors import BadRequestError, ForbiddenError, UnauthenticatedError, UnavailableError
from workspace_authz.identity.sessions.sealer import Sealer, SealError
from workspace_authz.identity.sessions.session import Identity, Provider, Session

MOST_OF_ONE_USER: Final = 50
"""Sessions. Signing in once more ends the oldest one."""
RENEWAL_SECONDS: Final = 15.0
"""For so long one worker of all replicas may renew a session."""
_SEEN_SECONDS: Final = 60.0
_WAIT_SECONDS: Final = 0.2
_MOST_WAITS: Final = 30
_ROW: Final = "session"
_COOKIE: Final = "session-cookie"

ENDED: Final = "The session has ended. Sign in again."


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Of sessions, in seconds."""

    total: float = 12 * 3600.0
    """From signing in, used or not."""
    idle: float = 2 * 3600.0
    """From the last request."""


class Sessions:
    """Begins, finds, renews and ends sessions. ``providers`` renew them, by name."""

    def __init__(
        self,
        database: DatabaseThreads,
        sealer: Sealer,
        *,
        providers: Mapping[str, Provider],
        lifetimes: Lifetimes,
        clock: Clock,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._providers = providers
        self._lifetimes = lifetimes
        self._clock = clock
        self._migrated = False
        self._renewing: Coalescer[str, Session] = Coalescer()
        self.statistics = Statistics(caches={}, coalescers={"session_renewal": self._renewing})

    async def begin(self, provider: str, identity: Identity) -> bytes:
        """A new session. Returns the value of its cookie.

        Raises :class:`BadRequestError` for an identity that is too large, and :class:`UnavailableError`.
        """
        secret = secrets.token_bytes(32)
        session = Session(_digest(secret), provider, identity)
        now = self._now()
        row = rows.SessionRow(
            digest=session.digest,
            owner=hashlib.sha256(f"{provider}\n{identity.subject}".encode()).hexdigest(),
            sealed=self._seal(session),
            created_at=now,
            seen_at=now,
            ends_at=now + round(self._lifetimes.total * 1000),
        )
        await self._database.ask(partial(self._add, row))
        return self._sealer.seal(secret, purpose=_COOKIE)

    async def find(self, cookie: bytes) -> Session:
        """The session of a cookie, renewed when it is time for that.

        Raises :class:`UnauthenticatedError` when there is none, and :class:`UnavailableError`.
        """
        return await self.current(self._digest_of(cookie))

    async def current(self, digest: str) -> Session:
        """The session with this digest; otherwise as :meth:`find`."""
        session = await self._read(digest)
        due = session.identity.renew_at
        if due is not None and self._clock.time() >= due:
            return await self._renewing.share(digest, partial(self._renew, session))
        return self._valid(session)

    async def end(self, cookie: bytes) -> Session | None:
        """End the session of a cookie. Returns it as it was; None where there is none.

        Raises :class:`UnavailableError`.
        """
        try:
            digest = self._digest_of(cookie)
            session = await self._read(digest)
        except UnauthenticatedError:
            return None
        await self._delete(digest)
        return session

    async def sweep(self) -> None:
        """Delete the sessions that have ended. Raises :class:`UnavailableError`."""
        unseen = self._now() - round(self._lifetimes.idle * 1000)
        await self._database.ask(partial(self._delete_ended, unseen))

    def _engine(self) -> Engine:
        engine = self._database.engine()
        if not self._migrated:
            migrate(engine)
            self._migrated = True
        return engine

    def _add(self, row: rows.SessionRow) -> None:
        engine = self._engine()
        rows.add_session(engine, row, most=MOST_OF_ONE_USER)

    def _delete_ended(self, unseen_since: int) -> None:
        engine = self._engine()
        rows.delete_ended(engine, now=self._now(), unseen_since=unseen_since)

    def _digest_of(self, cookie: bytes) -> str:
        try:
            return _digest(self._sealer.open(cookie, purpose=_COOKIE))
        except SealError:
            raise UnauthenticatedError(ENDED) from None

    async def _read(self, digest: str) -> Session:
        row = await self._database.ask(partial(self._find, digest))
        now = self._now()
        if row is None or row.ends_at <= now or row.seen_at + self._lifetimes.idle * 1000 <= now:
            raise UnauthenticatedError(ENDED)
        session = self._open(row)
        if row.seen_at + _SEEN_SECONDS * 1000 <= now:
            await self._database.ask(partial(self._mark_seen, digest, now))
        return session

    def _find(self, digest: str) -> rows.SessionRow | None:
        engine = self._engine()
        return rows.find_session(engine, digest)

    def _mark_seen(self, digest: str, now: int) -> None:
        rows.mark_seen(self._engine(), digest, now=now)

    def _open(self, row: rows.SessionRow) -> Session:
        try:
            session = Session.of(self._sealer.open(row.sealed, purpose=_ROW))
        except SealError:
            raise UnauthenticatedError(ENDED) from None
        if session.digest != row.digest:  # a row that was copied from another
            raise UnauthenticatedError(ENDED)
        return session

    def _seal(self, session: Session) -> bytes:
        try:
            return self._sealer.seal(session.document(), purpose=_ROW)
        except SealError as error:
            raise BadRequestError(f"This account is too large for a session: {error}.") from None

    async def _renew(self, session: Session) -> Session:
        """Ask the provider again. One worker of all replicas does, since refresh tokens are used once."""
        for _ in range(_MOST_WAITS):
            if await self._database.ask(partial(self._take_renewal, session.digest)):
                return await self._renewed(session)
            if self._holds(session):
                return session
            await self._clock.sleep(_WAIT_SECONDS)
            session = await self._read(session.digest)
            due = session.identity.renew_at
            if due is None or self._clock.time() < due:
                return self._valid(session)
        raise UnavailableError("The session is being renewed; try again.")

    def _take_renewal(self, digest: str) -> bool:
        now = self._now()
        until = now + round(RENEWAL_SECONDS * 1000)
        return rows.take_renewal(self._engine(), digest, now=now, until=until)

    async def _renewed(self, session: Session) -> Session:
        # Another worker may have renewed it since this one read it: its refresh token is used up then.
        session = await self._read(session.digest)
        due = session.identity.renew_at
        if due is not None and self._clock.time() >= due:
            session = await self._ask_provider(session)
        sealed = self._seal(session)
        if not await self._database.ask(partial(self._put_renewed, session.digest, sealed)):
            raise UnauthenticatedError(ENDED)
        return self._valid(session)

    async def _ask_provider(self, session: Session) -> Session:
        provider = self._providers.get(session.provider)
        try:
            if provider is None:
                raise UnauthenticatedError(ENDED)
            identity = await provider.renew(session.identity)
            if identity.subject != session.identity.subject:
                raise UnauthenticatedError(ENDED)
        except (UnauthenticatedError, ForbiddenError):
            await self._delete(session.digest)
            raise UnauthenticatedError(ENDED) from None
        except UnavailableError:
            if not self._holds(session):
                raise
            later = replace(session.identity, renew_at=self._clock.time() + RENEWAL_SECONDS)
            return replace(session, identity=later)
        return replace(session, identity=identity)

    def _put_renewed(self, digest: str, sealed: bytes) -> bool:
        return rows.put_renewed(self._engine(), digest, sealed=sealed)

    async def _delete(self, digest: str) -> None:
        await self._database.ask(lambda: rows.delete_session(self._engine(), digest))

    def _holds(self, session: Session) -> bool:
        ends = session.identity.ends_at
        return ends is None or self._clock.time() < ends

    def _valid(self, session: Session) -> Session:
        if not self._holds(session):
            raise UnauthenticatedError(ENDED)
        return session

    def _now(self) -> int:
        return round(self._clock.time() * 1000)


def _digest(secret: bytes) -> str:
    return hashlib.sha256(secret).hexdigest()
