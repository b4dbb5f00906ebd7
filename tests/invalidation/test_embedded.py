"""Two workers on the embedded control plane, over real connections: nothing outlives its being true for long.

The first knows its callers by their tokens, the second by name, as behind a proxy or in a session.

``make fuzz`` plays more plans, others each time. ``INVALIDATION_PLANS`` and ``INVALIDATION_SEED`` choose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given

from tests.invalidation.administrators import HttpAdministrator
from tests.invalidation.broken import BROKEN
from tests.invalidation.plans import SILENT, STEADY, UNHEARD, budget
from tests.invalidation.play import Step
from tests.invalidation.stage import Stage, staged
from workspace_authz.devplane.embedded import EmbeddedEngine


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    state = tmp_path_factory.mktemp("invalidation")
    with staged(EmbeddedEngine, state, administrator=lambda _, api: HttpAdministrator(api)) as stage:
        yield stage


@budget(3)
@given(steps=STEADY)
@example(steps=[("turn", "Role"), ("end", "account"), ("agree",)])
def test_while_all_is_well(stage: Stage, steps: list[Step]) -> None:
    stage.play(steps)


@budget(2)
@given(steps=UNHEARD)
@example(steps=[("turn", "ClusterRole"), ("agree",), ("restart",), ("turn", "RoleBinding"), ("agree",)])
def test_while_watches_are_away(stage: Stage, steps: list[Step]) -> None:
    stage.play(steps)


@budget(2)
@given(steps=SILENT)
def test_while_watches_are_silent(stage: Stage, steps: list[Step]) -> None:
    stage.play(steps)


@pytest.mark.parametrize("what", BROKEN)
def test_a_known_plan_finds_what_is_broken(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, what: str, record_property: Callable[[str, object], None]
) -> None:
    """Given something that is broken on purpose, when the plan that is known for it is played, then it shows.

    Beside it a few drawn plans are played. Whether they find it, too, depends on the draw and on the machine,
    so it is only reported.
    """
    broken = BROKEN[what]
    monkeypatch.setattr("tests.invalidation.play.HEALTHY_SECONDS", 2.0)
    broken.breaking(monkeypatch)
    with pytest.raises(AssertionError, match="after the change that ended it"):
        stage.play(broken.known)

    found: list[str] = []

    @budget(2)
    @given(steps=broken.plans)
    def search(steps: list[Step]) -> None:
        if not found:
            try:
                stage.play(steps)
            except AssertionError as wrong:
                found.append(str(wrong))

    search()
    record_property("a drawn plan found it", bool(found))
