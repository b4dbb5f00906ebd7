"""What counts as a violation."""

from __future__ import annotations

import math
import time

import pytest

from bench.soak.cases import Case, switches
from bench.soak.clients import Bounds, Tally
from bench.soak.ledger import Change, Ledger
from bench.soak.outage import RECOVERY_SECONDS, Outages

REVOKED = 100.0


@pytest.fixture
def case() -> Case:
    """A right that ended at 100."""
    changes = [Change(True, -math.inf, -math.inf), Change(False, REVOKED - 1, REVOKED)]
    return Case("team-a", switches("team-a")["Role"], Ledger(time.monotonic, changes))


@pytest.mark.parametrize(
    ("status", "sent", "came", "told"),
    [
        (403, 110, 111, None),
        (200, 104, 105, None),  # wrong, within the bound
        (200, 106, 107, "Role: allowed 6.00 s after the change that ended it"),
        (403, 110, 126, "Role: an answer took 16.0 s"),
        (500, 110, 111, "Role: HTTP 500"),
        (503, 110, 111, "Role: HTTP 503"),
        (503, 205, 206, None),  # announced
        (500, 205, 206, "Role: HTTP 500"),
        (200, 205, 206, "Role: allowed 105.00 s after the change that ended it"),
        (503, 210 + RECOVERY_SECONDS, 211 + RECOVERY_SECONDS, None),
        (503, 211 + RECOVERY_SECONDS, 212 + RECOVERY_SECONDS, "Role: HTTP 503"),
    ],
)
def test_judgement(case: Case, status: int, sent: float, came: float, told: str | None) -> None:
    tally = Tally(Bounds(stale=5, answer=15), Outages([(200, 210)]))
    tally.judge(case, status, sent=sent, came=came)
    assert tally.violations == ([] if told is None else [told])
