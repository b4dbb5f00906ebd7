"""Who a session's cookie stands for, and which kind of token verifies what the session holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from tests.harness.fakes import ManualClock
from tests.identity.sessions.keys import key_file
from workspace_authz.aio.statistics import Statistics
from workspace_authz.database.threads import DatabaseThreads
from workspace_authz.errors import ForbiddenError, UnauthenticatedError
from workspace_authz.identity.authenticator import AuthenticatorChain, Presented
from workspace_authz.identity.credentials import AUTHORIZATION
from workspace_authz.identity.sessions.authenticator import SESSION, SessionAuthenticator
from workspace_authz.identity.sessions.cookies import Cookies
from workspace_authz.identity.sessions.sealer import Sealer, SessionKeys
from workspace_authz.identity.sessions.session import Identity
from workspace_authz.identity.sessions.sessions import Lifetimes, Sessions
from workspace_authz.kubernetes.credentials import BearerToken, SessionUser
from workspace_authz.types import Caller, Credential, UserInfo

ALICE = UserInfo("alice", groups=("people",))
COOKIES = Cookies(secure=True)
OWN = (b"sec-fetch-site", b"same-origin")


@dataclass
class Tokens:
    """Accepts one token as one user's."""

    token: str
    user: UserInfo
    statistics: Statistics = field(default_factory=Statistics)

    async def authenticate(
        self, presented: Presented, *, unverified: Callable[[Credential], None]
    ) -> Caller | None:
        sent = [value for name, value in presented.headers if name == AUTHORIZATION]
        if not sent:
            return None
        if sent != [f"Bearer {self.token}".encode()]:
            raise UnauthenticatedError("The API server does not accept this token.")
        return Caller(self.user, BearerToken(self.token))

    def workspaces(self, presented: Presented) -> list[str]:
        return []

    async def confirm(self, caller: Caller) -> Caller | None:
        return None


@dataclass
class World:
    """A chain of tokens and sessions."""

    sessions: Sessions
    clock: ManualClock = field(default_factory=ManualClock)
    tokens: Tokens = field(default_factory=lambda: Tokens("pasted", UserInfo("by-any-kind")))
    provided: Tokens = field(default_factory=lambda: Tokens("provided", UserInfo("by-api-token")))

    def __post_init__(self) -> None:
        sessions = SessionAuthenticator(
            self.sessions, COOKIES, {"https://mlflow.example"}, [self.tokens], [self.provided]
        )
        self.chain = AuthenticatorChain((self.tokens, sessions))

    async def caller(self, cookie: bytes, *more: tuple[bytes, bytes], method: str = "GET") -> Caller:
        header = f"{COOKIES.name(SESSION)}=".encode() + cookie
        presented = Presented(((b"cookie", header), *more), method=method)
        return await self.chain.authenticate(presented, unverified=lambda _: None)


@pytest.fixture
def world(tmp_path: Path, clock: ManualClock) -> Iterator[World]:
    engine = create_engine(f"sqlite:///{tmp_path / 'mlflow.db'}")
    with closing(DatabaseThreads(lambda: engine, "sessions")) as database:
        sessions = Sessions(
            database,
            Sealer(SessionKeys(key_file(tmp_path / "keys"))),
            providers={},
            lifetimes=Lifetimes(),
            clock=clock,
        )
        yield World(sessions, clock)
    engine.dispose()


async def test_a_user_by_name(world: World) -> None:
    cookie = await world.sessions.begin("acme", Identity("acme#1", ALICE))
    caller = await world.caller(cookie)
    assert caller.user == ALICE
    assert isinstance(caller.credential, SessionUser)
    assert not caller.credential.is_in(cookie)
    assert await world.chain.confirm(caller) == caller
    await world.sessions.end(cookie)
    with pytest.raises(UnauthenticatedError):
        await world.chain.confirm(caller)


async def test_a_pasted_token_is_of_any_kind(world: World) -> None:
    cookie = await world.sessions.begin("", Identity("x", token="pasted"))
    assert (await world.caller(cookie)).user.username == "by-any-kind"


async def test_a_providers_token_is_one_for_the_api_server(world: World) -> None:
    """Given an ID token whose audience is also one of this server, then its claims choose nothing."""
    cookie = await world.sessions.begin("acme", Identity("x", token="provided"))
    assert (await world.caller(cookie)).user.username == "by-api-token"


async def test_a_token_that_is_not_accepted_any_more_ends_nothing_but_the_request(world: World) -> None:
    cookie = await world.sessions.begin("", Identity("x", token="pasted"))
    world.tokens.token = "another"
    with pytest.raises(UnauthenticatedError, match="Sign in again"):
        await world.caller(cookie)


async def test_a_token_in_the_request_comes_first(world: World) -> None:
    """Given a session of alice's, when a token is sent beside it, then the token alone answers."""
    cookie = await world.sessions.begin("acme", Identity("acme#1", ALICE))
    good, bad = ((AUTHORIZATION, f"Bearer {token}".encode()) for token in ("pasted", "wrong"))
    assert (await world.caller(cookie, good)).user.username == "by-any-kind"
    with pytest.raises(UnauthenticatedError):
        await world.caller(cookie, bad)


async def test_another_sites_page_may_not_use_it(world: World) -> None:
    cookie = await world.sessions.begin("acme", Identity("acme#1", ALICE))
    assert (await world.caller(cookie, OWN, method="POST")).user == ALICE
    for method, headers in (("POST", ()), ("POST", ((b"sec-fetch-site", b"cross-site"),))):
        with pytest.raises(ForbiddenError):
            await world.caller(cookie, *headers, method=method)


async def test_two_sessions_in_one_request_are_refused(world: World) -> None:
    one = await world.sessions.begin("acme", Identity("acme#1", ALICE))
    two = await world.sessions.begin("acme", replace(Identity("acme#2"), user=UserInfo("bob")))
    second = f"{COOKIES.name(SESSION)}=".encode() + two
    with pytest.raises(UnauthenticatedError, match="two sessions"):
        await world.caller(one, (b"cookie", second))
