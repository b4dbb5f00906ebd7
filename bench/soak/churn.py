"""An administrator who changes who may do what, and others whose changes concern nobody here."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Final

from bench.soak.cases import OTHER, RBAC, Case, Step
from bench.soak.clients import Client, Tally
from workspace_authz.devplane.api import Api

AGREED: Final = 3
"""Right answers in a row, after which a client counts as knowing of a change."""
_POLL_SECONDS: Final = 0.05
_NOISE: Final = (
    ("clusterroles", {"rules": OTHER}),
    (
        "clusterrolebindings",
        {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view-nothing"}},
    ),
)


async def wave(api: Api, cases: Sequence[Case], *, dice: random.Random, gap: float) -> None:
    """Turn every right over once, in any order, ``gap`` seconds apart on average."""
    for case in dice.sample(cases, len(cases)):
        await case.turn(api)
        await asyncio.sleep(dice.uniform(0, 2 * gap))


async def agree(clients: Sequence[Client], tally: Tally) -> None:
    """Return when all clients get what is theirs, on every connection; too late is a violation.

    Too late is when requests that each took as long as they may would have had the right answers by then,
    one that was under way at the change not counted. An outage does not count either.
    """
    allowed = tally.bounds.stale + (AGREED + 1) * (tally.bounds.answer + 2 * clients[0].pause)
    deadline = time.monotonic() + allowed
    waiting = list(clients)
    while waiting := [client for client in waiting if not client.agreed(AGREED)]:
        now = time.monotonic()
        if tally.outages.excuse(sent=now, came=now):
            deadline = now + allowed
        elif now > deadline:
            kinds = sorted({client.case.switch.kind for client in waiting})
            tally.violation(f"{', '.join(kinds)}: a change did not take effect in time")
            return
        await asyncio.sleep(_POLL_SECONDS)


async def noise(api: Api, namespaces: Sequence[str], *, dice: random.Random, gap: float) -> None:
    """Make and delete roles and bindings that have nothing to do with MLflow, until cancelled."""
    number = 0
    while True:
        number += 1
        name = f"soak-noise-{number}"
        namespace = dice.choice(namespaces)
        resource, contents = dice.choice((*_NOISE, ("roles", _NOISE[0][1]), ("rolebindings", _NOISE[1][1])))
        within = "" if resource.startswith("cluster") else f"/namespaces/{namespace}"
        path = f"{RBAC}{within}/{resource}"
        await Step("POST", path, {"metadata": {"name": name}, **contents}).run(api)
        await asyncio.sleep(dice.uniform(0, gap))
        await Step("DELETE", f"{path}/{name}").run(api)
        await asyncio.sleep(dice.uniform(0, gap))
