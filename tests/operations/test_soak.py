"""The short form of ``make soak``: the same clients, changes and judgement, without a limit on speed."""

from __future__ import annotations

import math

from bench.soak.administrator import administrator
from bench.soak.clients import Bounds
from bench.soak.run import Load, Servers, soak
from tests.operations.replicas import SETTLING_SECONDS, Replicas

LOAD = Load(
    # A decision from before a change would live for 60 seconds, were it not for its generation.
    bounds=Bounds(stale=30.0, answer=60.0),
    seconds=1.0,  # one wave that gives and one that takes
    clients=10,
    teams=1,
    pause=0.1,
    quiet=1.5 * SETTLING_SECONDS,
    gap=0.05,
    growth=math.inf,
    seed=1,
)


async def test_nothing_is_allowed_or_refused_for_longer_than_it_may(replicas: Replicas) -> None:
    """Given callers at work, when each kind of change gives and takes rights, then all workers follow."""
    async with administrator(replicas.plane.admin_kubeconfig) as api:
        urls, processes = zip(
            *((server.uri, server.process.process.pid) for server in replicas.servers), strict=True
        )
        outcome = await soak(api, Servers(urls, processes), LOAD)
    assert outcome.tally.violations == []
    assert outcome.tally.statuses.keys() == {200, 403}
    for case in outcome.cases:
        assert [change.allowed for change in case.ledger.changes] == [False, True, False]
