"""How late an answer was is told without wronging a server that was still on its way."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from bench.soak.ledger import Ledger


@dataclass
class Time:
    now: float = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def ledger() -> Ledger:
    """Granted from 10 to 12, taken away from 20 to 22."""
    time = Time()
    ledger = Ledger(time.monotonic)
    for begun, answered, allowed in ((10.0, 12.0, True), (20.0, 22.0, False)):
        time.now = begun
        ledger.begin(allowed=allowed)
        time.now = answered
        ledger.answered()
    return ledger


@pytest.mark.parametrize(
    ("allowed", "sent", "came", "late"),
    [
        (False, 1, 2, 0),
        (True, 1, 9, math.inf),
        (True, 1, 11, 0),  # the API server may have taken the change up before it answered
        (False, 11, 13, 0),
        (False, 12.5, 13, 0.5),
        (True, 12.5, 13, 0),
        (True, 21, 30, 0),  # sent before the answer
        (True, 25, 30, 3),
        (False, 25, 30, 0),
        (False, 15, 19, 3),
        (False, 15, 21, 0),  # right at its end
    ],
)
def test_lateness(ledger: Ledger, allowed: bool, sent: float, came: float, late: float) -> None:
    assert ledger.lateness(allowed=allowed, sent=sent, came=came) == late


def test_a_change_on_its_way_ends_nothing() -> None:
    time = Time()
    ledger = Ledger(time.monotonic)
    ledger.begin(allowed=True)
    for allowed in (True, False):
        assert ledger.lateness(allowed=allowed, sent=5, came=6) == 0


def test_a_change_knows_the_worst_of_its_answers(ledger: Ledger) -> None:
    for sent in (22.5, 24.0, 23.0):
        ledger.lateness(allowed=True, sent=sent, came=sent + 1)
    granted, taken = ledger.changes[1:]
    assert (granted.late, granted.until) == (0, 0)
    assert (taken.late, taken.until) == (2, 3)
