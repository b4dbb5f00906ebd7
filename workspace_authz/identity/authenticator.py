"""Who a token belongs to, as the API server says, remembered for a short while."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from workspace_authz.aio.cache import ExpiringCache
from workspace_authz.aio.coalesce import Coalescer
from workspace_authz.errors import UnauthenticatedError
from workspace_authz.kubernetes.reviews import REJECTED, Reviews
from workspace_authz.types import Caller, UserInfo


@dataclass(frozen=True, slots=True)
class _Known:
    """An answer about one token. ``user`` is None when the API server rejected it."""

    user: UserInfo | None
    refresh_after: float


class Authenticator:
    """Asks a SelfSubjectReview per token, at most once at a time, and keeps the answer ``seconds`` long.

    While a token is in use its answer is refreshed in the background after half of that time, so that a
    busy caller never waits and a deleted account is still noticed. Rejections are kept ``rejected_seconds``;
    failures are never kept. Tokens are known by an HMAC under a key of this process only. ``strangers`` is
    asked about tokens that are not known yet.
    """

    def __init__(
        self,
        reviews: Reviews,
        *,
        strangers: Reviews | None = None,
        monotonic: Callable[[], float],
        seconds: float = 15.0,
        rejected_seconds: float = 5.0,
        size: int = 10_000,
    ) -> None:
        self._reviews = reviews
        self._strangers = strangers or reviews
        self._monotonic = monotonic
        self._seconds = seconds
        self._rejected_seconds = rejected_seconds
        self._key = secrets.token_bytes(32)
        self._known: ExpiringCache[bytes, _Known] = ExpiringCache(size=size, monotonic=monotonic)
        # Apart, so that a flood of invented tokens cannot push known callers out.
        self._rejected: ExpiringCache[bytes, _Known] = ExpiringCache(size=size, monotonic=monotonic)
        self._asking: Coalescer[bytes, _Known] = Coalescer()

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

    async def authenticate(self, token: str) -> Caller:
        """The caller behind ``token``. Raises :class:`UnauthenticatedError` or ``UnavailableError``."""
        caller = self.known(token)
        if caller is not None:
            return caller
        key = self._key_of(token)
        known = await self._asking.share(key, lambda: self._ask(self._strangers, key, token))
        return _caller(known, token)

    def _key_of(self, token: str) -> bytes:
        return hmac.digest(self._key, token.encode("ascii"), "sha256")

    async def _ask(self, reviews: Reviews, key: bytes, token: str) -> _Known:
        asked = self._monotonic()
        try:
            user = await reviews.who(token)
        except UnauthenticatedError:
            self._known.discard(key)
            rejected = _Known(user=None, refresh_after=0.0)
            self._rejected.put(key, rejected, seconds=self._rejected_seconds)
            return rejected
        known = _Known(user=user, refresh_after=asked + self._seconds / 2)
        # From when it was asked: it may be as old as the answer took.
        self._known.put(key, known, seconds=asked + self._seconds - self._monotonic())
        return known


def _caller(known: _Known, token: str) -> Caller:
    if known.user is None:
        raise UnauthenticatedError(REJECTED)
    return Caller(user=known.user, token=token)
