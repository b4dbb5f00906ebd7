"""Who a token belongs to, as the API server says, remembered for a short while."""

from __future__ import annotations

import asyncio
import hmac
import math
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from workspace_authz.aio.cache import ExpiringCache
from workspace_authz.aio.coalesce import Coalescer
from workspace_authz.aio.statistics import Statistics
from workspace_authz.errors import UnauthenticatedError
from workspace_authz.identity.expiry import expiry
from workspace_authz.identity.rate_limit import Rejections
from workspace_authz.kubernetes.reviews import REJECTED, Reviews
from workspace_authz.types import Caller, UserInfo

_ACQUAINTED_SECONDS: Final = 3600.0
"""For so long after it was last accepted a token is no stranger's."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How long answers are kept, in seconds, and how many of each kind."""

    seconds: float = 15.0
    rejected_seconds: float = 5.0
    size: int = 10_000
    rejections_per_second: float = 10.0
    """How many one address may have before it waits."""


@dataclass(frozen=True, slots=True)
class _Known:
    """An answer about one token. ``user`` is None when the API server rejected it."""

    user: UserInfo | None
    refresh_after: float


class Authenticator:
    """Asks a SelfSubjectReview per token, at most once at a time, and keeps the answer as ``terms`` say.

    While a token is in use its answer is refreshed in the background after half of its time, so that a
    busy caller never waits and a deleted account is still noticed. Failures are never kept. Tokens are known
    by an HMAC under a key of this process only.

    ``unverified`` is asked about tokens that were not accepted lately, unless their address has had too many
    rejected. ``server_time`` is the API server's, None while it is not known.
    """

    def __init__(
        self,
        reviews: Reviews,
        *,
        unverified: Reviews | None = None,
        monotonic: Callable[[], float],
        server_time: Callable[[], float | None] = lambda: None,
        terms: Terms | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._reviews = reviews
        self._strangers = unverified or reviews
        self._monotonic = monotonic
        self._server_time = server_time
        self._terms = terms = terms or Terms()
        self._key = secrets.token_bytes(32)
        self._known: ExpiringCache[bytes, _Known] = ExpiringCache(size=terms.size, monotonic=monotonic)
        # Apart, so that a flood of invented tokens cannot push known callers out.
        self._rejected: ExpiringCache[bytes, _Known] = ExpiringCache(size=terms.size, monotonic=monotonic)
        self._acquainted: ExpiringCache[bytes, bool] = ExpiringCache(size=terms.size, monotonic=monotonic)
        self._rejections = Rejections(
            monotonic=monotonic, per_second=terms.rejections_per_second, sleep=sleep
        )
        self._asking: Coalescer[bytes, _Known] = Coalescer()
        self.statistics = Statistics(
            caches={"identities": self._known, "rejected": self._rejected},
            coalescers={"identity": self._asking},
        )

    def known(self, token: str) -> Caller | None:
        """The caller behind ``token`` as far as it is remembered, refreshed in the background if it is time.

        None for a token that must be asked about. Raises :class:`UnauthenticatedError` for one that was
        rejected a moment ago.
        """
        key = self._key_of(token)
        known = self._known.get(key) or self._rejected.get(key)
        if known is None:
            return None
        if known.user is not None and self._monotonic() >= known.refresh_after:
            self._asking.start(key, lambda: self._ask(self._reviews, key, token))
        return _caller(known, token)

    def calm(self, peer: str) -> bool:
        """Whether no token from the address ``peer`` was rejected lately: then more may be asked early."""
        return self._rejections.calm(peer)

    async def authenticate(self, token: str, *, peer: str = "") -> Caller:
        """The caller behind ``token``, sent from the address ``peer``.

        Raises :class:`UnauthenticatedError`, ``TooManyRequestsError`` or ``UnavailableError``.
        """
        caller = self.known(token)
        if caller is not None:
            return caller
        if self._left_of(token) <= 0:
            raise UnauthenticatedError(REJECTED)
        key = self._key_of(token)
        if self._acquainted.get(key):
            return _caller(await self._asking.share(key, lambda: self._ask(self._reviews, key, token)), token)
        await self._rejections.admit(peer)
        return _caller(await self._asking.share(key, lambda: self._meet(key, token, peer)), token)

    def _key_of(self, token: str) -> bytes:
        return hmac.digest(self._key, token.encode("ascii"), "sha256")

    async def _meet(self, key: bytes, token: str, peer: str) -> _Known:
        known = await self._ask(self._strangers, key, token)
        if known.user is None:
            self._rejections.charge(peer)
        return known

    async def _ask(self, reviews: Reviews, key: bytes, token: str) -> _Known:
        asked = self._monotonic()
        try:
            user = await reviews.who(token)
        except UnauthenticatedError:
            return self._reject(key)
        if self._left_of(token) <= 0:  # now that the API server has said what time it is
            return self._reject(key)
        known = _Known(user=user, refresh_after=asked + self._terms.seconds / 2)
        # From when it was asked: the answer may be as old as it took. And never beyond the token's own end.
        until = min(asked + self._terms.seconds - self._monotonic(), self._left_of(token))
        self._known.put(key, known, seconds=until)
        self._acquainted.put(key, True, seconds=_ACQUAINTED_SECONDS)
        return known

    def _reject(self, key: bytes) -> _Known:
        self._known.discard(key)
        self._acquainted.discard(key)
        self._rejected.put(key, _REJECTED, seconds=self._terms.rejected_seconds)
        return _REJECTED

    def _left_of(self, token: str) -> float:
        """Seconds until the token's own end. By the API server's clock, so that no leeway for ours is needed.

        Stricter than kube-apiserver, which takes a service account's token for another minute (go-jose's
        ``DefaultLeeway``), and late by up to a second, for its clock is told in whole ones.
        """
        now, end = self._server_time(), expiry(token)
        return math.inf if now is None or end is None else end - now


_REJECTED: Final = _Known(user=None, refresh_after=math.inf)


def _caller(known: _Known, token: str) -> Caller:
    if known.user is None:
        raise UnauthenticatedError(REJECTED)
    return Caller(user=known.user, token=token)
