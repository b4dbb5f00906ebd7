"""What may happen, drawn by hypothesis."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final, TypeVar

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st

from tests.invalidation.play import Step
from tests.invalidation.site import KINDS, WORKERS

Test = TypeVar("Test", bound=Callable[..., Any])

PLANS: Final = int(os.environ.get("INVALIDATION_PLANS", "0"))
"""How many; 0 for the usual number."""
SEED: Final = os.environ.get("INVALIDATION_SEED", "")

_KIND: Final = st.sampled_from(KINDS)
_WORKER: Final = st.integers(0, WORKERS - 1)


def _step(name: str, *arguments: st.SearchStrategy[object]) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(name), *arguments)


_USUAL: Final = st.one_of(
    _step("turn", _KIND),
    _step("turn", _KIND),
    _step("meet", _KIND),
    _step("end", st.sampled_from(["token", "namespace"])),
    _step("wait_until_old"),
    _step("agree"),
    _step("delay", _WORKER, st.sampled_from([0.0, 0.05, 0.3])),
    _step("cut", _WORKER),
    _step("heal", _WORKER),
)
_SOME: Final = st.lists(_USUAL, min_size=1, max_size=5)


def _plans(*certain: st.SearchStrategy[Step]) -> st.SearchStrategy[list[Step]]:
    """Anything, and between it what must not be missing."""
    parts = [part for step in certain for part in (_SOME, st.tuples(step))]
    return st.tuples(*parts, _SOME).map(lambda drawn: [step for part in drawn for step in part])


# Apart, because each kind of trouble lets answers live longer.
STEADY: Final = _plans(_step("take_behind", _KIND), _step("take_meanwhile", _KIND, _WORKER))
UNHEARD: Final = _plans(_step("take_unheard", _KIND, _WORKER))
SILENT: Final = _plans(_step("take_in_silence", _KIND, _WORKER))


def budget(usual: int) -> Callable[[Test], Test]:
    """Hypothesis' settings for plans that take seconds each: to make a failing one smaller takes too long.

    A failure prints the plan and what happened when. The plans are the same each time: those of
    ``INVALIDATION_SEED`` where it is set.
    """

    def decorate(test: Test) -> Test:
        limited: Test = settings(
            max_examples=PLANS or usual,
            deadline=None,
            derandomize=not SEED,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            report_multiple_bugs=False,
            suppress_health_check=[HealthCheck.too_slow],
        )(test)
        return seed(int(SEED))(limited) if SEED else limited

    return decorate
