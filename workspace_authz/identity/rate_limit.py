"""How many tokens of one client address the API server may reject before the address has to wait."""

from __future__ import annotations

import math
import random
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Final

from workspace_authz.aio.clock import Clock
from workspace_authz.errors import TooManyRequestsError

BURST_SECONDS: Final = 10.0
"""An address may at first have as many tokens rejected as come back in so many seconds."""
_LONGEST_WAIT_SECONDS: Final = 30.0
LONGEST_DELAY_SECONDS: Final = 2.0
"""A refusal is delayed by a random part of it. Otherwise clients that were refused together would come back,
and be admitted, together."""
MOST_DELAYED: Final = 1000
"""Refusals that are delayed at a time. Further ones are sent at once: each delayed one takes memory."""


class Rejections:
    """A token bucket per client address. Each rejection takes one, and ``per_second`` come back.

    Only rejections count: any number of callers with good tokens may arrive at once, also where all of them
    have the address of an ingress. At most ``peers`` addresses are remembered, and the one that was charged
    longest ago is forgotten first. An IPv6 address stands for its network of 64 bits, which one host may have
    to itself. ``jitter`` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        per_second: float,
        peers: int = 4096,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self._delayed = 0
        self._per_second = per_second
        self._burst = max(1.0, per_second * BURST_SECONDS)
        self._peers = peers
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """What was left of a bucket, and when. An address that is not in here has a full one."""

    def recent(self, peer: str) -> bool:
        """Whether a token from ``peer`` was rejected lately."""
        return bool(self._left) and self._level(_network(peer)) < self._burst

    async def admit(self, peer: str) -> None:
        """Raises :class:`TooManyRequestsError` when the bucket is empty.

        Raising takes up to :data:`LONGEST_DELAY_SECONDS`, so that a client that retries at once does not take
        the processor from others.
        """
        if not self._left:
            return
        level = self._level(_network(peer))
        if level < 1:
            await self._delay()
            wait = min((1 - level) / self._per_second, _LONGEST_WAIT_SECONDS)
            raise TooManyRequestsError(_FLOOD, after=math.ceil(wait))

    def charge(self, peer: str) -> None:
        """A token from ``peer`` was rejected. Tokens asked about at the same time may overdraw the bucket."""
        network = _network(peer)
        self._left[network] = self._level(network) - 1, self._clock.monotonic()
        self._left.move_to_end(network)
        while len(self._left) > self._peers:
            self._left.popitem(last=False)

    async def _delay(self) -> None:
        if self._delayed >= MOST_DELAYED:
            return
        self._delayed += 1
        try:
            await self._clock.sleep(LONGEST_DELAY_SECONDS * self._jitter())
        finally:
            self._delayed -= 1

    def _level(self, network: str) -> float:
        level, since = self._left.get(network, (self._burst, 0.0))
        return min(self._burst, level + (self._clock.monotonic() - since) * self._per_second)


_FLOOD: Final = (
    "Too many tokens from your address were rejected in a short time. "
    "New ones are not looked at for now; try again later."
)


def _network(peer: str) -> str:
    try:
        address = ip_address(peer)
    except ValueError:
        return peer
    if not isinstance(address, IPv6Address):
        return peer
    return str(address.ipv4_mapped or int(address) >> 64)
