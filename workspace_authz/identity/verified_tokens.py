"""Who a token belongs to, as the API server says, cached for a short while."""

from __future__ import annotations

import hmac
import math
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from workspace_authz.aio.cache import ExpiringCache
from workspace_authz.aio.clock import Clock
from workspace_authz.aio.coalesce import Coalescer
from workspace_authz.aio.statistics import Statistics
from workspace_authz.errors import UnauthenticatedError
from workspace_authz.identity.authenticator import Presented
from workspace_authz.identity.credentials import FoundToken, expiry, find_credential, workspaces_of_basic
from workspace_authz.identity.rate_limit import Rejections
from workspace_authz.kubernetes.credentials import AudienceToken, BearerToken, IssuerToken
from workspace_authz.types import Caller, Credential, UserInfo

Token: TypeAlias = BearerToken | AudienceToken | IssuerToken
"""The kinds of credential that are tokens."""

Who: TypeAlias = Callable[[str], Awaitable[UserInfo]]
"""Asks the API server for the owner of a token. Raises ``UnauthenticatedError`` or ``UnavailableError``."""

_VERIFIED_SECONDS: Final = 3600.0
"""For so long after the API server last accepted a token, it is asked about as a verified one."""


@dataclass(frozen=True, slots=True)
class TokenTerms:
    """How long answers about tokens are cached, in seconds, and how many of each kind."""

    seconds: float = 15.0
    rejected_seconds: float = 5.0
    size: int = 10_000
    rejections_per_second: float = 10.0
    """How many one client address may have before it must wait."""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What holds for tokens of every kind."""

    clock: Clock
    server_time: Callable[[], float | None] = lambda: None
    """The API server's time in seconds since the epoch; None while it is not known."""
    terms: TokenTerms = TokenTerms()
    rejections: Rejections | None = None
    """Shared by the kinds. None: each kind has its own."""
    oauth_proxy: bool = False
    """See :func:`~workspace_authz.identity.credentials.find_credential`."""

    def now(self) -> float:
        """The API server's time, or this machine's while that is not known."""
        told = self.server_time()
        return self.clock.time() if told is None else told

    def found(self, presented: Presented) -> FoundToken | None:
        """The one token of a request; None when it presents none. Raises :class:`UnauthenticatedError`."""
        return find_credential(presented.headers, gateway=presented.gateway, oauth_proxy=self.oauth_proxy)

    def workspaces(self, presented: Presented) -> Sequence[str]:
        """See :meth:`~workspace_authz.identity.authenticator.Authenticator.workspaces`."""
        return workspaces_of_basic(presented.headers, gateway=presented.gateway, oauth_proxy=self.oauth_proxy)


@dataclass(frozen=True, slots=True)
class Questions:
    """How the API server is asked about tokens of one kind, and what a rejection says to the caller."""

    known: Who
    unverified: Who
    """About tokens that the API server has not accepted lately."""
    rejected: str
    caches: str = ""
    """Put before the names of the caches, which tell the kinds apart in the metrics."""


@dataclass(frozen=True, slots=True)
class _Identity:
    """An answer about one token. ``user`` is None when the API server rejected it."""

    user: UserInfo | None
    refresh_after: float


class VerifiedTokens:
    """The owners of tokens of one kind.

    It asks one review per token, at most one at a time, and caches the answer as ``terms`` say. While a token
    is in use, its answer is refreshed in the background after half of its time, so that a busy caller never
    waits and a deleted account is still noticed. Failures are never cached. The cache's keys are HMACs of
    tokens under a key of this process only.
    """

    def __init__(self, questions: Questions, rules: TokenRules) -> None:
        self._questions = questions
        self._monotonic = monotonic = rules.clock.monotonic
        self._server_time = rules.server_time
        self._terms = terms = rules.terms
        self._key = secrets.token_bytes(32)
        self._known: ExpiringCache[bytes, _Identity] = ExpiringCache(size=terms.size, monotonic=monotonic)
        # A cache of its own, so that a flood of invented tokens cannot evict known callers.
        self._rejected: ExpiringCache[bytes, _Identity] = ExpiringCache(size=terms.size, monotonic=monotonic)
        self._verified: ExpiringCache[bytes, bool] = ExpiringCache(size=terms.size, monotonic=monotonic)
        self._rejections = rules.rejections or Rejections(rules.clock, per_second=terms.rejections_per_second)
        self._asking: Coalescer[bytes, _Identity] = Coalescer()
        self.statistics = Statistics(
            caches={
                f"{questions.caches}identities": self._known,
                f"{questions.caches}rejected": self._rejected,
            },
            coalescers={f"{questions.caches}identity": self._asking},
        )

    async def caller(self, token: Token, peer: str, *, unverified: Callable[[Credential], None]) -> Caller:
        """The owner of ``token``, which ``peer`` presents.

        See :meth:`~workspace_authz.identity.authenticator.Authenticator.authenticate`. Raises
        :class:`UnauthenticatedError`, ``TooManyRequestsError`` or ``UnavailableError``.
        """
        key = self._key_of(token)
        cached = self._cached(key, token)
        if cached is not None:
            return self._caller(cached, token)
        if self._seconds_left(token) <= 0:
            raise UnauthenticatedError(self._questions.rejected)
        if not self._rejections.recent(peer):
            unverified(token)
        if self._verified.get(key):
            return self._caller(await self._share(key, token), token)
        await self._rejections.admit(peer)
        identity = await self._asking.share(key, lambda: self._verify(token, key=key, peer=peer))
        return self._caller(identity, token)

    async def confirm(self, token: Token) -> Caller:
        """The owner of a token that was accepted once, as they are now.

        Raises :class:`UnauthenticatedError` or ``UnavailableError``.
        """
        key = self._key_of(token)
        cached = self._cached(key, token)
        if cached is None:
            if self._seconds_left(token) <= 0:
                raise UnauthenticatedError(self._questions.rejected)
            # The token was accepted once, so it is none of the invented ones.
            cached = await self._share(key, token)
        return self._caller(cached, token)

    def _key_of(self, token: Token) -> bytes:
        return hmac.digest(self._key, token.token.encode("ascii"), "sha256")

    def _cached(self, key: bytes, token: Token) -> _Identity | None:
        """The answer in the cache, refreshed in the background when it is time for that."""
        identity = self._known.get(key) or self._rejected.get(key)
        if identity is not None and identity.user is not None and self._monotonic() >= identity.refresh_after:
            self._asking.start(key, lambda: self._ask(token, key=key, who=self._questions.known))
        return identity

    async def _share(self, key: bytes, token: Token) -> _Identity:
        return await self._asking.share(key, lambda: self._ask(token, key=key, who=self._questions.known))

    async def _verify(self, token: Token, *, key: bytes, peer: str) -> _Identity:
        identity = await self._ask(token, key=key, who=self._questions.unverified)
        if identity.user is None:
            self._rejections.charge(peer)
        return identity

    async def _ask(self, token: Token, *, key: bytes, who: Who) -> _Identity:
        asked = self._monotonic()
        try:
            user = await who(token.token)
        except UnauthenticatedError:
            return self._reject(key)
        if self._seconds_left(token) <= 0:  # now that the API server has said what time it is
            return self._reject(key)
        identity = _Identity(user=user, refresh_after=asked + self._terms.seconds / 2)
        # From when it was asked: the answer may be as old as it took. And never beyond the token's own end.
        until = min(asked + self._terms.seconds - self._monotonic(), self._seconds_left(token))
        self._known.put(key, identity, seconds=until)
        self._verified.put(key, True, seconds=_VERIFIED_SECONDS)
        return identity

    def _reject(self, key: bytes) -> _Identity:
        self._known.discard(key)
        self._verified.discard(key)
        self._rejected.put(key, _REJECTED, seconds=self._terms.rejected_seconds)
        return _REJECTED

    def _seconds_left(self, token: Token) -> float:
        """Seconds until the token's own end. By the API server's clock, so that no leeway for ours is needed.

        Stricter than kube-apiserver, which takes a service account's token for another minute (go-jose's
        ``DefaultLeeway``), and late by up to a second, because its clock is told in whole ones.
        """
        now, end = self._server_time(), expiry(token.token)
        return math.inf if now is None or end is None else end - now

    def _caller(self, identity: _Identity, token: Token) -> Caller:
        if identity.user is None:
            raise UnauthenticatedError(self._questions.rejected)
        return Caller(user=identity.user, credential=token)


_REJECTED: Final = _Identity(user=None, refresh_after=math.inf)
