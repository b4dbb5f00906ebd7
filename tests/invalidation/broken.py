"""What keeps cached answers right, broken on purpose: each of these the plans must find."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pytest
from hypothesis import strategies as st

from tests.invalidation.plans import STEADY, UNHEARD
from tests.invalidation.play import Step
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.rbac.changes import RbacChanges
from workspace_authz.authorizer.rbac.objects import Binding
from workspace_authz.authorizer.rbac.watcher import RbacWatcher
from workspace_authz.authorizer.review_cache import Asked, ReviewCache
from workspace_authz.kubernetes.informer_state import Change


def _role_bindings_change_nothing(patch: pytest.MonkeyPatch) -> None:
    told = RbacChanges.of_bindings

    def of_bindings(self: RbacChanges, changes: Sequence[Change[Binding]]) -> None:
        deaf = Generations(lambda: 0.0)
        namespaced = any(change.key[0] for change in changes)
        told(RbacChanges(self.index, deaf) if namespaced else self, changes)

    patch.setattr(RbacChanges, "of_bindings", of_bindings)


def _answers_count_from_when_they_came(patch: pytest.MonkeyPatch) -> None:
    """The generation is read after the review instead of before it, and so is the moment."""

    async def timed(self: ReviewCache[Any, Any], namespace: str, answer: Awaitable[Any]) -> Asked[Any]:
        came = await answer
        now = self._monotonic()
        return Asked(came, self._generations.generation(namespace), now, came=now)

    patch.setattr(ReviewCache, "timed", timed)


def _every_change_has_propagated(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ReviewCache, "_propagated", lambda self, asked: True)


def _no_watch_is_ever_missed(patch: pytest.MonkeyPatch) -> None:
    """Where no watch is, decisions live as if there were one."""
    judged = RbacWatcher._judge

    def judge(self: RbacWatcher) -> None:
        before = self._generations.followed_since
        judged(self)
        if self._generations.followed_since is None:
            self._generations.followed_since = before

    patch.setattr(RbacWatcher, "_judge", judge)


@dataclass(frozen=True, slots=True)
class Broken:
    """How to break it, and where it shows."""

    breaking: Callable[[pytest.MonkeyPatch], None]
    known: tuple[Step, ...]
    """A plan that finds it on every machine: what is stale stays so for a minute."""
    plans: st.SearchStrategy[list[Step]]
    """Plans among which a search finds it, too."""


BROKEN: Final[Mapping[str, Broken]] = {
    "RoleBindings change nothing": Broken(
        _role_bindings_change_nothing,
        (("take_behind", "RoleBinding"),),
        STEADY,
    ),
    "answers count from when they came": Broken(
        _answers_count_from_when_they_came, (("take_meanwhile", "RoleBinding", 0),), STEADY
    ),
    "answers about a name count from when they came": Broken(
        _answers_count_from_when_they_came, (("take_meanwhile", "RoleBinding", 1),), STEADY
    ),
    "every change has propagated": Broken(
        _every_change_has_propagated, (("take_behind", "RoleBinding"),), STEADY
    ),
    "no watch is ever missed": Broken(
        _no_watch_is_ever_missed, (("take_unheard", "RoleBinding", 0),), UNHEARD
    ),
}
