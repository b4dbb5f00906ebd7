"""A circuit opens when nobody answers, lets one question through at a time, and closes at an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.harness.fakes import ManualClock
from workspace_authz.errors import (
    OverloadedError,
    ThrottledError,
    UnauthenticatedError,
    UnavailableError,
    UnreachableError,
)
from workspace_authz.kubernetes.circuit_breaker import FAILURES, OPEN_SECONDS, SILENT_SECONDS, CircuitBreaker


class Wire:
    """A circuit, its clock, and what it told."""

    def __init__(self) -> None:
        self.clock, self.told = ManualClock(), list[bool]()
        self.circuit = CircuitBreaker(self.clock.monotonic, changed=self.told.append)

    def fail(
        self, error: BaseException, *, times: int = 1, seconds: float = SILENT_SECONDS / FAILURES
    ) -> None:
        """Ask ``times``, each time in vain after ``seconds``."""
        for _ in range(times):
            with pytest.raises(type(error)):
                self.ask_in_vain(error, lambda: self.clock.advance(seconds))

    def ask_in_vain(self, error: BaseException, meanwhile: Callable[[], None]) -> None:
        with self.circuit.trial():
            meanwhile()
            raise error

    def answer(self) -> None:
        with self.circuit.trial():
            pass

    def refuse(self) -> None:
        with pytest.raises(OverloadedError), self.circuit.trial():
            raise AssertionError("the question was asked")


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def down(wire: Wire) -> Wire:
    wire.fail(UnreachableError("down"), times=FAILURES)
    return wire


def test_failures_in_a_row_open_it(wire: Wire) -> None:
    wire.fail(UnreachableError("down"), times=FAILURES - 1)
    assert not wire.circuit.is_open
    wire.fail(UnreachableError("down"))
    assert wire.circuit.is_open
    wire.refuse()
    assert wire.told == [True]


def test_connections_that_break_at_one_moment_do_not_open_it(wire: Wire) -> None:
    wire.answer()
    wire.fail(UnreachableError("broken"), times=10 * FAILURES, seconds=0.001)
    assert not wire.circuit.is_open
    wire.clock.advance(SILENT_SECONDS)
    wire.fail(UnreachableError("broken"))
    assert wire.circuit.is_open


def test_silence_counts_from_the_last_answer(wire: Wire) -> None:
    wire.fail(UnreachableError("down"), times=FAILURES - 1)

    def others_are_answered() -> None:
        wire.clock.advance(60)
        wire.answer()

    with pytest.raises(UnreachableError):
        wire.ask_in_vain(UnreachableError("broken"), others_are_answered)
    wire.fail(UnreachableError("broken"), times=FAILURES - 1, seconds=0.001)
    assert not wire.circuit.is_open


def test_a_question_that_was_cut_off_is_a_failure(wire: Wire) -> None:
    wire.fail(asyncio.CancelledError(), times=FAILURES)
    assert wire.circuit.is_open


@pytest.mark.parametrize(
    "error", [UnauthenticatedError("no"), ThrottledError("later"), UnavailableError("nonsense")]
)
def test_any_answer_is_a_sign_of_life(wire: Wire, error: Exception) -> None:
    wire.fail(UnreachableError("down"), times=FAILURES - 1)
    wire.fail(error, times=FAILURES)
    wire.fail(UnreachableError("down"), times=FAILURES - 1)
    assert not wire.circuit.is_open


def test_after_a_while_one_question_goes_through_at_a_time(down: Wire) -> None:
    down.clock.advance(OPEN_SECONDS)
    with down.circuit.trial():
        down.refuse()
    assert not down.circuit.is_open
    down.answer()
    assert down.told == [True, False]


def test_a_probe_that_fails_keeps_it_open_for_as_long_again(down: Wire) -> None:
    down.clock.advance(OPEN_SECONDS)
    down.fail(UnreachableError("down"))
    down.refuse()
    down.clock.advance(OPEN_SECONDS)
    down.answer()
    assert down.told == [True, False]


def test_a_probe_that_is_given_up_lets_the_next_one_through(down: Wire) -> None:
    down.clock.advance(OPEN_SECONDS)
    down.fail(asyncio.CancelledError())
    down.clock.advance(OPEN_SECONDS)
    down.answer()
    assert not down.circuit.is_open


def test_once_closed_it_takes_as_many_failures_as_before(down: Wire) -> None:
    down.clock.advance(OPEN_SECONDS)
    down.answer()
    down.fail(UnreachableError("down"), times=FAILURES - 1)
    assert not down.circuit.is_open


def test_an_answer_to_an_earlier_question_closes_it(wire: Wire) -> None:
    with wire.circuit.trial():
        wire.fail(UnreachableError("down"), times=FAILURES)
        assert wire.circuit.is_open
    assert not wire.circuit.is_open
