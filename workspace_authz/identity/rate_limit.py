"""How many tokens of one client address the API server may reject before the address has to wait."""

from __future__ import annotations

import asyncio
import math
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address, ip_address
from typing import Final

from workspace_authz.errors import TooManyRequestsError

BURST_SECONDS: Final = 10.0
"""At first an address may have as many rejected as in so many seconds of a flood."""
_LONGEST_WAIT_SECONDS: Final = 30.0
HELD_SECONDS: Final = 2.0
"""At most; a random part of it, or those who were refused together would be back, and admitted, together."""
MOST_HELD: Final = 1000
"""Refusals that wait at a time; beyond them one is told at once, for each that waits takes memory."""


class Rejections:
    """A token bucket per client address, of which each rejection takes one and ``per_second`` come back.

    Only rejections count: any number of callers whose tokens are good may arrive at once, also where all
    have the address of an ingress. At most ``peers`` addresses are remembered, those last that were rejected
    last. An IPv6 address stands for its network of 64 bits, which one host may have to itself. ``jitter``
    gives numbers from 0 to 1.
    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float],
        per_second: float,
        peers: int = 4096,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._jitter = jitter
        self._held = 0
        self._per_second = per_second
        self._burst = max(1.0, per_second * BURST_SECONDS)
        self._peers = peers
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """What was left of a bucket, and when. An address that is not in here has a full one."""

    def calm(self, peer: str) -> bool:
        """Whether nothing from ``peer`` was rejected lately."""
        return not self._left or self._level(_network(peer)) >= self._burst

    async def admit(self, peer: str) -> None:
        """Raise :class:`TooManyRequestsError` where the bucket is empty.

        It takes up to :data:`HELD_SECONDS`: who asks again and again leaves the processor to others.
        """
        if not self._left:
            return
        level = self._level(_network(peer))
        if level < 1:
            await self._hold()
            wait = min((1 - level) / self._per_second, _LONGEST_WAIT_SECONDS)
            raise TooManyRequestsError(_FLOOD, after=math.ceil(wait))

    def charge(self, peer: str) -> None:
        """A token from ``peer`` was rejected. Those asked at the same time may leave the bucket in debt."""
        network = _network(peer)
        self._left[network] = self._level(network) - 1, self._monotonic()
        self._left.move_to_end(network)
        while len(self._left) > self._peers:
            self._left.popitem(last=False)

    async def _hold(self) -> None:
        if self._held >= MOST_HELD:
            return
        self._held += 1
        try:
            await self._sleep(HELD_SECONDS * self._jitter())
        finally:
            self._held -= 1

    def _level(self, network: str) -> float:
        level, since = self._left.get(network, (self._burst, 0.0))
        return min(self._burst, level + (self._monotonic() - since) * self._per_second)


_FLOOD: Final = (
    "Too many tokens from your address were rejected in a short time, so no other that is new is looked at "
    "for now; try again."
)


def _network(peer: str) -> str:
    try:
        address = ip_address(peer)
    except ValueError:
        return peer
    if not isinstance(address, IPv6Address):
        return peer
    return str(address.ipv4_mapped or int(address) >> 64)
