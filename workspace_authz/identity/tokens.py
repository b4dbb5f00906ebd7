"""Who a token belongs to, as the API server says, cached for a short while."""

from __future__ import annotations

import hmac
import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from workspace_authz.aio.cache import ExpiringCache
from workspace_authz.aio.clock import Clock
from workspace_authz.aio.coalesce import Coalescer
from workspace_authz.aio.statistics import Statistics
from workspace_authz.errors import UnauthenticatedError
from workspace_authz.identity.authenticator import Presented
from workspace_authz.identity.credentials import expiry, find_credential, workspaces_of_basic
from workspace_authz.identity.rate_limit import Rejections
from workspace_authz.kubernetes.credentials import BearerToken
from workspace_authz.kubernetes.reviews import REJECTED, Reviews
from workspace_authz.types import Caller, Credential, UserInfo

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
class _Identity:
    """An answer about one token. ``user`` is None when the API server rejected it."""

    user: UserInfo | None
    refresh_after: float


class TokenAuthenticator:
    """An :class:`~workspace_authz.identity.authenticator.Authenticator` for bearer tokens.

    It asks a SelfSubjectReview per token, at most one at a time, and caches the answer as ``terms`` say.
    While a token is in use, its answer is refreshed in the background after half of its time, so that a busy
    caller never waits and a deleted account is still noticed. Failures are never cached. The cache's keys are
    HMACs of tokens under a key of this process only.

    ``unverified`` answers about tokens that the API server has not accepted lately; ``reviews`` if it is not
    given. ``server_time`` is the API server's time in seconds since the epoch, None while it is not known.
    ``oauth_proxy``: see :func:`~workspace_authz.identity.credentials.find_credential`.
    """

    def __init__(
        self,
        reviews: Reviews,
        *,
        unverified: Reviews | None = None,
        clock: Clock,
        server_time: Callable[[], float | None] = lambda: None,
        terms: TokenTerms | None = None,
        oauth_proxy: bool = False,
    ) -> None:
        self._reviews = reviews
        self._oauth_proxy = oauth_proxy
        self._unverified = unverified or reviews
        self._monotonic = monotonic = clock.monotonic
        self._server_time = server_time
        self._terms = terms = terms or TokenTerms()
        self._key = secrets.token_bytes(32)
        self._known: ExpiringCache[bytes, _Identity] = ExpiringCache(size=terms.size, monotonic=monotonic)
        # A cache of its own, so that a flood of invented tokens cannot evict known callers.
        self._rejected: ExpiringCache[bytes, _Identity] = ExpiringCache(size=terms.size, monotonic=monotonic)
        self._verified: ExpiringCache[bytes, bool] = ExpiringCache(size=terms.size, monotonic=monotonic)
        self._rejections = Rejections(clock, per_second=terms.rejections_per_second)
        self._asking: Coalescer[bytes, _Identity] = Coalescer()
        self.statistics = Statistics(
            caches={"identities": self._known, "rejected": self._rejected},
            coalescers={"identity": self._asking},
        )

    async def authenticate(
        self, presented: Presented, *, unverified: Callable[[Credential], None]
    ) -> Caller | None:
        """See :class:`~workspace_authz.identity.authenticator.Authenticator`.

        Raises :class:`UnauthenticatedError`, ``TooManyRequestsError`` or ``UnavailableError``.
        """
        found = find_credential(presented.headers, gateway=presented.gateway, oauth_proxy=self._oauth_proxy)
        if found is None:
            return None
        try:
            return await self._verified_caller(found.bearer, presented.peer, unverified=unverified)
        except UnauthenticatedError as error:
            # A client may send one that its user does not know of, for example out of a .netrc.
            raise UnauthenticatedError(f"{error.message} The token was read from {found.header}.") from None

    def workspaces(self, presented: Presented) -> Sequence[str]:
        """See :class:`~workspace_authz.identity.authenticator.Authenticator`."""
        return workspaces_of_basic(
            presented.headers, gateway=presented.gateway, oauth_proxy=self._oauth_proxy
        )

    async def _verified_caller(
        self, bearer: BearerToken, peer: str, *, unverified: Callable[[Credential], None]
    ) -> Caller:
        key = self._key_of(bearer)
        cached = self._cached(key, bearer)
        if cached is not None:
            return _caller(cached, bearer)
        if self._seconds_left(bearer) <= 0:
            raise UnauthenticatedError(REJECTED)
        if not self._rejections.recent(peer):
            unverified(bearer)
        if self._verified.get(key):
            return _caller(await self._share(key, bearer), bearer)
        await self._rejections.admit(peer)
        return _caller(
            await self._asking.share(key, lambda: self._verify(bearer, key=key, peer=peer)), bearer
        )

    async def confirm(self, caller: Caller) -> Caller | None:
        """See :class:`~workspace_authz.identity.authenticator.Authenticator`.

        Raises :class:`UnauthenticatedError` or ``UnavailableError``.
        """
        bearer = caller.credential
        if not isinstance(bearer, BearerToken):
            return None
        key = self._key_of(bearer)
        cached = self._cached(key, bearer)
        if cached is None:
            if self._seconds_left(bearer) <= 0:
                raise UnauthenticatedError(REJECTED)
            # The token was accepted once, so it is none of the invented ones.
            cached = await self._share(key, bearer)
        return _caller(cached, bearer)

    def _key_of(self, bearer: BearerToken) -> bytes:
        return hmac.digest(self._key, bearer.token.encode("ascii"), "sha256")

    def _cached(self, key: bytes, bearer: BearerToken) -> _Identity | None:
        """The answer in the cache, refreshed in the background when it is time for that."""
        identity = self._known.get(key) or self._rejected.get(key)
        if identity is not None and identity.user is not None and self._monotonic() >= identity.refresh_after:
            self._asking.start(key, lambda: self._ask(bearer, key=key, reviews=self._reviews))
        return identity

    async def _share(self, key: bytes, bearer: BearerToken) -> _Identity:
        return await self._asking.share(key, lambda: self._ask(bearer, key=key, reviews=self._reviews))

    async def _verify(self, bearer: BearerToken, *, key: bytes, peer: str) -> _Identity:
        identity = await self._ask(bearer, key=key, reviews=self._unverified)
        if identity.user is None:
            self._rejections.charge(peer)
        return identity

    async def _ask(self, bearer: BearerToken, *, key: bytes, reviews: Reviews) -> _Identity:
        asked = self._monotonic()
        try:
            user = await reviews.who(bearer.token)
        except UnauthenticatedError:
            return self._reject(key)
        if self._seconds_left(bearer) <= 0:  # now that the API server has said what time it is
            return self._reject(key)
        identity = _Identity(user=user, refresh_after=asked + self._terms.seconds / 2)
        # From when it was asked: the answer may be as old as it took. And never beyond the token's own end.
        until = min(asked + self._terms.seconds - self._monotonic(), self._seconds_left(bearer))
        self._known.put(key, identity, seconds=until)
        self._verified.put(key, True, seconds=_VERIFIED_SECONDS)
        return identity

    def _reject(self, key: bytes) -> _Identity:
        self._known.discard(key)
        self._verified.discard(key)
        self._rejected.put(key, _REJECTED, seconds=self._terms.rejected_seconds)
        return _REJECTED

    def _seconds_left(self, bearer: BearerToken) -> float:
        """Seconds until the token's own end. By the API server's clock, so that no leeway for ours is needed.

        Stricter than kube-apiserver, which takes a service account's token for another minute (go-jose's
        ``DefaultLeeway``), and late by up to a second, because its clock is told in whole ones.
        """
        now, end = self._server_time(), expiry(bearer.token)
        return math.inf if now is None or end is None else end - now


_REJECTED: Final = _Identity(user=None, refresh_after=math.inf)


def _caller(identity: _Identity, bearer: BearerToken) -> Caller:
    if identity.user is None:
        raise UnauthenticatedError(REJECTED)
    return Caller(user=identity.user, credential=bearer)
