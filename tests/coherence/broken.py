"""What keeps answers coherent, broken on purpose: each of these the plans must find."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pytest
from hypothesis import strategies as st

from tests.coherence.plans import STEADY, UNHEARD
from tests.coherence.play import Step
from workspace_authz.authorizer.coherence import Coherence
from workspace_authz.authorizer.memory import Asked, Memory
from workspace_authz.authorizer.rbac.changes import RbacChanges
from workspace_authz.authorizer.rbac.follower import RbacFollower
from workspace_authz.authorizer.rbac.objects import Binding
from workspace_authz.kubernetes.informer_state import Change


def _role_bindings_change_nothing(patch: pytest.MonkeyPatch) -> None:
    told = RbacChanges.of_bindings

    def of_bindings(self: RbacChanges, changes: Sequence[Change[Binding]]) -> None:
        deaf = Coherence(lambda: 0.0)
        namespaced = any(change.key[0] for change in changes)
        told(RbacChanges(self.index, deaf) if namespaced else self, changes)

    patch.setattr(RbacChanges, "of_bindings", of_bindings)


def _answers_count_from_when_they_came(patch: pytest.MonkeyPatch) -> None:
    """The generation is read after the review instead of before it, and so is the moment."""

    async def timed(self: Memory[Any, Any], namespace: str, answer: Awaitable[Any]) -> Asked[Any]:
        came = await answer
        now = self._monotonic()
        return Asked(came, self._coherence.generation(namespace), now, came=now)

    patch.setattr(Memory, "timed", timed)


def _everything_is_settled(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Memory, "_settled", lambda self, asked: True)


def _no_watch_is_ever_missed(patch: pytest.MonkeyPatch) -> None:
    """Where no watch is, decisions live as if there were one."""
    judged = RbacFollower._judge

    def judge(self: RbacFollower) -> None:
        before = self._coherence.followed_since
        judged(self)
        if self._coherence.followed_since is None:
            self._coherence.followed_since = before

    patch.setattr(RbacFollower, "_judge", judge)


@dataclass(frozen=True, slots=True)
class Broken:
    """How to break it, and where it shows."""

    breaking: Callable[[pytest.MonkeyPatch], None]
    plans: st.SearchStrategy[list[Step]]


BROKEN: Final[Mapping[str, Broken]] = {
    "RoleBindings change nothing": Broken(_role_bindings_change_nothing, STEADY),
    "answers count from when they came": Broken(_answers_count_from_when_they_came, STEADY),
    "everything is settled": Broken(_everything_is_settled, STEADY),
    "no watch is ever missed": Broken(_no_watch_is_ever_missed, UNHEARD),
}
