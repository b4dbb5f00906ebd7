"""Sessions in MLflow's database, on both engines: several servers share them, and each ends when it must."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update

from tests.harness.fakes import ManualClock
from tests.identity.sessions.keys import key_file
from workspace_authz.database.schema import SESSIONS
from workspace_authz.database.threads import DatabaseThreads
from workspace_authz.errors import (
    BadRequestError,
    ForbiddenError,
    MisconfiguredError,
    UnauthenticatedError,
    UnavailableError,
)
from workspace_authz.identity.sessions.sealer import MOST_SEALED_BYTES, Sealer, SessionKeys
from workspace_authz.identity.sessions.session import Identity
from workspace_authz.identity.sessions.sessions import MOST_OF_ONE_USER, Lifetimes, Sessions
from workspace_authz.types import UserInfo

ALICE = UserInfo("oidc:alice", "u-1", ("oidc:people", "system:authenticated"), (("key", ("a", "b")),))
LIFETIMES = Lifetimes(total=3600, idle=600)


@dataclass
class Provider:
    """Renews as a test says."""

    clock: ManualClock
    asked: list[str] = field(default_factory=list)
    answer: UserInfo | Exception = ALICE
    subject: str = "acme#1"
    meanwhile: Callable[[], Awaitable[None]] | None = None

    def identity(self, number: int = 0) -> Identity:
        now = self.clock.time()
        user = self.answer if isinstance(self.answer, UserInfo) else ALICE
        return Identity(
            self.subject, user, renewal_token=f"refresh-{number}", renew_at=now + 60, ends_at=now + 120
        )

    async def renew(self, identity: Identity) -> Identity:
        self.asked.append(identity.renewal_token)
        if self.meanwhile is not None:
            await self.meanwhile()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.identity(len(self.asked))


@dataclass
class World:
    """Replicas with one database, one file of keys and one provider."""

    clock: ManualClock
    engine: Engine
    keys: Path
    provider: Provider
    threads: list[DatabaseThreads] = field(default_factory=list)

    def replica(self) -> Sessions:
        database = DatabaseThreads(lambda: self.engine, "sessions")
        self.threads.append(database)
        return Sessions(
            database,
            Sealer(SessionKeys(self.keys)),
            providers={"acme": self.provider},
            lifetimes=LIFETIMES,
            clock=self.clock,
        )

    def count(self) -> int:
        with self.engine.connect() as connection:
            return len(connection.execute(select(SESSIONS.c.digest)).all())


@pytest.fixture
def world(clock: ManualClock, engine: Engine, tmp_path: Path) -> Iterator[World]:
    world = World(clock, engine, key_file(tmp_path / "keys"), Provider(clock))
    yield world
    for each in world.threads:
        each.close()


async def test_every_replica_knows_a_session(world: World) -> None:
    cookie = await world.replica().begin("acme", world.provider.identity())
    found = await world.replica().find(cookie)
    assert (found.provider, found.identity) == ("acme", world.provider.identity())


async def test_the_database_holds_nothing_that_helps(world: World) -> None:
    cookie = await world.replica().begin("acme", replace(world.provider.identity(), token="the-token"))
    with world.engine.connect() as connection:
        row = str(connection.execute(select(SESSIONS)).one())
    for secret in (cookie.decode(), "the-token", "refresh-0", "alice", "acme"):
        assert secret not in row


async def test_a_row_cannot_be_copied_over_another(world: World) -> None:
    """Given who may write to the database, when they put another's sealed session into their own row, then
    that session does not begin to be theirs."""
    sessions = world.replica()
    own = await sessions.begin("acme", replace(world.provider.identity(), user=UserInfo("mallory")))
    await sessions.begin("acme", world.provider.identity())
    with world.engine.connect() as connection:
        sealed = connection.execute(select(SESSIONS.c.sealed)).scalars().all()
    found = []
    for each in sealed:
        with world.engine.begin() as connection:
            connection.execute(update(SESSIONS).values(sealed=each))
        with suppress(UnauthenticatedError):
            found.append((await sessions.find(own)).identity.user)
    assert found == [UserInfo("mallory")]


async def test_after_the_end_a_copy_of_the_cookie_is_worth_nothing(world: World) -> None:
    first, second = world.replica(), world.replica()
    cookie = await first.begin("acme", world.provider.identity())
    await second.find(cookie)
    ended = await first.end(cookie)
    assert ended is not None
    assert ended.identity.user == ALICE
    for sessions in (first, second):
        with pytest.raises(UnauthenticatedError):
            await sessions.find(cookie)
    assert await first.end(cookie) is None


@pytest.mark.parametrize("cookie", [b"", b"x", b"a.b.c.d.e"])
async def test_invented_cookies_do_not_reach_the_database(cookie: bytes, tmp_path: Path) -> None:
    database = DatabaseThreads(lambda: pytest.fail("the database was asked"), "sessions")
    sessions = Sessions(
        database,
        Sealer(SessionKeys(key_file(tmp_path / "keys"))),
        providers={},
        lifetimes=LIFETIMES,
        clock=ManualClock(),
    )
    with pytest.raises(UnauthenticatedError):
        await sessions.find(cookie)
    database.close()


async def test_a_session_ends_when_it_is_not_used(world: World) -> None:
    sessions = world.replica()
    cookie = await sessions.begin("", Identity("alice", token="t"))
    for _ in range(4):
        world.clock.advance(LIFETIMES.idle - 1)
        await sessions.find(cookie)
    world.clock.advance(LIFETIMES.idle)
    with pytest.raises(UnauthenticatedError):
        await sessions.find(cookie)


async def test_a_session_ends_though_it_is_used(world: World) -> None:
    sessions = world.replica()
    cookie = await sessions.begin("", Identity("alice", token="t"))
    for _ in range(7):
        world.clock.advance(500)
        await sessions.find(cookie)
    world.clock.advance(100)
    with pytest.raises(UnauthenticatedError):
        await sessions.find(cookie)


async def test_a_session_ends_with_its_identity(world: World) -> None:
    sessions = world.replica()
    ends_at = world.clock.time() + 30
    cookie = await sessions.begin("", Identity("alice", token="t", ends_at=ends_at))
    world.clock.advance(29)
    await sessions.find(cookie)
    world.clock.advance(1)
    with pytest.raises(UnauthenticatedError):
        await sessions.find(cookie)


async def test_sessions_that_have_ended_are_deleted(world: World) -> None:
    sessions = world.replica()
    await sessions.begin("", Identity("alice"))
    world.clock.advance(LIFETIMES.idle)
    kept = await sessions.begin("", Identity("alice"))
    await sessions.sweep()
    assert world.count() == 1
    await sessions.find(kept)


async def test_the_oldest_session_makes_room(world: World) -> None:
    sessions = world.replica()
    foreign = await sessions.begin("", Identity("bob"))
    cookies = []
    for _ in range(MOST_OF_ONE_USER + 1):
        world.clock.advance(0.01)
        cookies.append(await sessions.begin("", Identity("alice")))
    assert world.count() == MOST_OF_ONE_USER + 1
    with pytest.raises(UnauthenticatedError):
        await sessions.find(cookies[0])
    for cookie in (cookies[1], cookies[-1], foreign):
        await sessions.find(cookie)


async def test_an_identity_that_is_too_large_is_refused(world: World) -> None:
    with pytest.raises(BadRequestError):
        await world.replica().begin("", Identity("alice", token="t" * MOST_SEALED_BYTES))


async def test_a_session_is_renewed_when_it_is_time(world: World) -> None:
    """Given a user who was put into a group, when the session is renewed, then the group counts."""
    sessions = world.replica()
    cookie = await sessions.begin("acme", world.provider.identity())
    world.provider.answer = more = replace(ALICE, groups=(*ALICE.groups, "oidc:admins"))
    world.clock.advance(59)
    assert (await sessions.find(cookie)).identity.user == ALICE
    world.clock.advance(1)
    assert (await sessions.find(cookie)).identity.user == more
    assert (await world.replica().find(cookie)).identity.renewal_token == "refresh-1"
    world.clock.advance(60)
    await sessions.find(cookie)
    assert world.provider.asked == ["refresh-0", "refresh-1"]


async def test_one_of_all_replicas_renews(world: World) -> None:
    """Given refresh tokens that count once, when many requests come to two replicas, then one asks."""
    first, second = world.replica(), world.replica()
    cookie = await first.begin("acme", world.provider.identity())
    world.clock.advance(60)
    found = await asyncio.gather(*(sessions.find(cookie) for sessions in (first, second) for _ in range(5)))
    assert world.provider.asked == ["refresh-0"]
    assert {session.identity.user for session in found} == {ALICE}


async def test_who_waits_for_the_renewal_of_another_gets_it(world: World) -> None:
    """Given an identity that has ended, when another replica is renewing it, then this one waits."""
    first, second = world.replica(), world.replica()
    cookie = await first.begin("acme", world.provider.identity())
    world.clock.advance(119.5)
    begun = asyncio.Event()

    async def meanwhile() -> None:
        begun.set()
        world.clock.advance(0.6)
        while not world.clock.slept:  # noqa: ASYNC110 - the other replica shows in nothing else that it waits
            await asyncio.sleep(0.01)

    world.provider.meanwhile = meanwhile
    renewing = asyncio.create_task(first.find(cookie))
    await begun.wait()
    found = await second.find(cookie)
    assert found.identity.renewal_token == (await renewing).identity.renewal_token == "refresh-1"
    assert world.provider.asked == ["refresh-0"]


@pytest.mark.parametrize("refusal", [UnauthenticatedError("no"), ForbiddenError("no longer in the group")])
async def test_a_session_ends_when_its_provider_says_so(world: World, refusal: Exception) -> None:
    sessions = world.replica()
    cookie = await sessions.begin("acme", world.provider.identity())
    world.provider.answer = refusal
    world.clock.advance(60)
    with pytest.raises(UnauthenticatedError):
        await sessions.find(cookie)
    assert world.count() == 0


async def test_a_session_never_becomes_anothers(world: World) -> None:
    sessions = world.replica()
    cookie = await sessions.begin("acme", world.provider.identity())
    world.provider.subject = "acme#2"
    world.clock.advance(60)
    with pytest.raises(UnauthenticatedError):
        await sessions.find(cookie)


async def test_a_session_outlasts_its_providers_outage_for_a_while(world: World) -> None:
    sessions = world.replica()
    cookie = await sessions.begin("acme", world.provider.identity())
    world.provider.answer = UnavailableError("away")
    world.clock.advance(60)
    for _ in range(3):
        assert (await sessions.find(cookie)).identity.user == ALICE
    assert len(world.provider.asked) == 1  # not for every request
    world.clock.advance(60)
    with pytest.raises(UnavailableError):
        await sessions.find(cookie)
    world.provider.answer = ALICE
    world.clock.advance(20)
    assert (await sessions.find(cookie)).identity.user == ALICE


async def test_a_session_that_ended_while_it_was_renewed_stays_ended(world: World) -> None:
    sessions, other = world.replica(), world.replica()
    cookie = await sessions.begin("acme", world.provider.identity())

    async def sign_out() -> None:
        await other.end(cookie)

    world.provider.meanwhile = sign_out
    world.clock.advance(60)
    with pytest.raises(UnauthenticatedError):
        await sessions.find(cookie)
    assert world.count() == 0


async def test_without_a_database_there_are_no_sessions(tmp_path: Path) -> None:
    database = DatabaseThreads(lambda: None, "sessions")
    sessions = Sessions(
        database,
        Sealer(SessionKeys(key_file(tmp_path / "keys"))),
        providers={},
        lifetimes=LIFETIMES,
        clock=ManualClock(),
    )
    with pytest.raises(MisconfiguredError):
        await sessions.begin("", Identity("alice"))
    database.close()
