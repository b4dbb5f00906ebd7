"""Follows the cluster's roles and bindings, and knows whether a change can be missed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from workspace_authz.aio.clock import Clock
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.rbac.changes import RbacChanges
from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.authorizer.rbac.objects import Binding, Role, RoleReader, read_binding
from workspace_authz.kubernetes.connection import Connection
from workspace_authz.kubernetes.informer import Informer
from workspace_authz.kubernetes.informer_state import Change, InformerState, Timing
from workspace_authz.kubernetes.listwatch_answers import JsonObject

_log = logging.getLogger(__name__)

_API: Final = "/apis/rbac.authorization.k8s.io/v1"

_RESOURCES: Final = ("clusterroles", "roles", "clusterrolebindings", "rolebindings")
"""Roles first: a binding counts once its role is known."""

T = TypeVar("T")


class RbacWatcher:
    """Four informers. ``namespace``: follow Roles and RoleBindings of this one only, as no other counts."""

    def __init__(
        self,
        connection: Connection,
        *,
        generations: Generations,
        index: RbacIndex,
        clock: Clock,
        namespace: str | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._generations = generations
        self._interrupted = False
        changes = RbacChanges(index, generations)
        within = f"{_API}/namespaces/{namespace}" if namespace else _API

        def informer(
            path: str,
            *,
            keep: Callable[[JsonObject], T | None],
            on_change: Callable[[Sequence[Change[T]]], None],
        ) -> Informer[T]:
            return Informer(
                connection,
                path,
                keep=keep,
                on_change=on_change,
                clock=clock,
                on_followed=self._judge,
                timing=timing,
            )

        read_role = RoleReader()
        self._informers: tuple[Informer[Role] | Informer[Binding], ...] = (
            informer(f"{_API}/clusterroles", keep=read_role, on_change=changes.of_roles),
            informer(f"{within}/roles", keep=read_role, on_change=changes.of_roles),
            informer(f"{_API}/clusterrolebindings", keep=read_binding, on_change=changes.of_bindings),
            informer(f"{within}/rolebindings", keep=read_binding, on_change=changes.of_bindings),
        )

    @property
    def states(self) -> Mapping[str, InformerState]:
        """How well each resource is being followed, by its name."""
        return {name: informer.state for name, informer in zip(_RESOURCES, self._informers, strict=True)}

    @property
    def problems(self) -> list[str]:
        """Why changes are not followed, as sentences for an operator; empty while they are."""
        if self._generations.followed_since is not None:
            return []
        known = [state.problem for state in self.states.values() if state.problem]
        return known or ["Roles and bindings have not been listed yet, or are being listed again."]

    def notes(self) -> list[str]:
        """What an operator should know of a server that serves nevertheless."""
        problems = self.problems
        lifetimes = "Until then a decision holds for the settings allow_seconds and deny_seconds."
        return [*problems, lifetimes] if problems else []

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as group:
            for informer in self._informers:
                group.create_task(informer.run())

    def _judge(self) -> None:
        """All of them or nothing: a change of any one can matter."""
        moments = [state.followed_since for state in self.states.values()]
        known = [moment for moment in moments if moment is not None]
        since = max(known) if len(known) == len(moments) else None
        before, self._generations.followed_since = self._generations.followed_since, since
        if before is None and since is not None:
            level = logging.WARNING if self._interrupted else logging.INFO
            _log.log(level, "changes of roles and bindings are followed: a change takes effect at once")
        elif before is not None and since is None:
            self._interrupted = True
            _log.warning("changes of roles and bindings are not followed: decisions live shorter")
