"""Follows the ``MLflowConfig`` objects and the Secrets by which namespaces choose their artifact roots."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from workspace_authz.aio.clock import Clock
from workspace_authz.errors import BadRequestError, UnavailableError
from workspace_authz.kubernetes.connection import Connection
from workspace_authz.kubernetes.informer import Informer
from workspace_authz.kubernetes.informer_state import Change, InformerState, Timing
from workspace_authz.workspaces.artifact_roots import (
    CONFIG_NAME,
    NO_SECRET,
    SECRET_NAME,
    ArtifactBuckets,
    Override,
    RootConfig,
    override,
    read_bucket,
    read_config,
)

_log = logging.getLogger(__name__)

ROLE: Final = "mlflow-server-artifact-roots"
"""The ClusterRole that lets the server follow them; it names the one Secret."""
CONFIGS_PATH: Final = "/apis/mlflow.kubeflow.org/v1/mlflowconfigs"
SECRETS_PATH: Final = "/api/v1/secrets"

_GRACE_SECONDS: Final = 2.0
"""How long after a change a Secret may be missing: the two kinds are watched apart from each other."""
_LOOK_SECONDS: Final = 0.05

_UNKNOWN: Final = "The artifact roots of the workspaces are not known yet; try again."
_ABSENT: Final = (
    "WORKSPACE_AUTHZ_ARTIFACT_BUCKETS is set, but the cluster has no kind MLflowConfig, so all workspaces "
    "use the server's artifact root. The kustomize component mlflow-config installs it, which is noticed "
    "within seconds."
)
_DENIED: Final = (
    "The server may not follow the MLflowConfigs and their Secrets, which WORKSPACE_AUTHZ_ARTIFACT_BUCKETS "
    f"needs: bind the ClusterRole {ROLE} of the kustomize component mlflow-config to its account."
)


class ArtifactRoots:
    """The roots that namespaces choose, within ``buckets``.

    :meth:`of` asks nobody and may be called from any thread. Everything else belongs to one event loop, on
    which :meth:`run` is running.
    """

    def __init__(
        self, connection: Connection, buckets: ArtifactBuckets, *, clock: Clock, timing: Timing | None = None
    ) -> None:
        self._buckets = buckets
        self._clock = clock
        # A list or watch is held to the resourceNames of a role by its field selector.
        self._configs: Informer[RootConfig] = Informer(
            connection,
            CONFIGS_PATH,
            keep=read_config,
            on_change=self._changed,
            clock=clock,
            field_selector=f"metadata.name={CONFIG_NAME}",
            optional=True,
            timing=timing,
        )
        self._secrets: Informer[str] = Informer(
            connection,
            SECRETS_PATH,
            keep=read_bucket,
            on_change=self._changed,
            clock=clock,
            field_selector=f"metadata.name={SECRET_NAME}",
            timing=timing,
        )
        self._changed_at: dict[str, float] = {}
        self._noted: dict[str, str] = {}
        """The problem that was logged last, by namespace."""

    @property
    def states(self) -> Mapping[str, InformerState]:
        """How well each resource is being followed, by its name."""
        return {"mlflowconfigs": self._configs.state, "secrets": self._secrets.state}

    @property
    def synced(self) -> bool:
        """Whether all of both have been seen once."""
        return all(state.synced for state in self.states.values())

    async def wait_synced(self) -> None:
        """Return once :attr:`synced` is true."""
        await self._configs.wait_synced()
        await self._secrets.wait_synced()

    @property
    def problem(self) -> str | None:
        """Why they are not followed, as a sentence for an operator."""
        states = self.states.values()
        if any(state.missing_right for state in states):
            return _DENIED
        return next((state.problem for state in states if state.problem), None) or (
            None if self.synced else "The MLflowConfigs and their Secrets have not been listed yet."
        )

    def notes(self) -> Sequence[str]:
        """What an operator should know of a server that serves nevertheless."""
        if self._configs.state.absent:
            return (_ABSENT,)
        if not self.synced:
            return ()
        unusable = sum(1 for namespace in self._namespaces() if self._problem(namespace))
        if not unusable:
            return ()
        return (f"{unusable} MLflowConfigs cannot be used; the log names their namespaces.",)

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._configs.run())
            group.create_task(self._secrets.run())
            await self.wait_synced()
            for namespace in self._namespaces():
                self._note(namespace)

    def of(self, namespace: str) -> Override | None:
        """What the namespace's ``MLflowConfig`` leads to; None leaves the root to the server.

        Raises :class:`UnavailableError` before all of both have been seen once.
        """
        if not self.synced:
            raise UnavailableError(_UNKNOWN)
        config = self._configs.objects.get((namespace, CONFIG_NAME))
        if config is None:
            return None
        bucket = self._secrets.objects.get((namespace, SECRET_NAME))
        return override(config, bucket, namespace=namespace, buckets=self._buckets)

    async def check(self, namespace: str) -> None:
        """Check that the namespace's experiments have a root.

        Raises :class:`BadRequestError` with the problem if not, and :class:`UnavailableError` as :meth:`of`.
        """
        while self._problem(namespace) == NO_SECRET and self._changed_lately(namespace):
            await self._clock.sleep(_LOOK_SECONDS)
        if (problem := self._problem(namespace)) is not None:
            raise BadRequestError(refusal(namespace, problem))

    def _problem(self, namespace: str) -> str | None:
        found = self.of(namespace)
        return found.problem if found else None

    def _changed_lately(self, namespace: str) -> bool:
        changed = self._changed_at.get(namespace)
        return changed is not None and self._clock.monotonic() - changed < _GRACE_SECONDS

    def _namespaces(self) -> list[str]:
        return [namespace for namespace, _ in list(self._configs.objects)]

    def _changed(self, changes: Sequence[Change[Any]]) -> None:
        for change in changes:
            namespace, _ = change.key
            self._changed_at[namespace] = self._clock.monotonic()
            if self.synced:
                self._note(namespace)
            if (namespace, CONFIG_NAME) not in self._configs.objects:
                self._changed_at.pop(namespace, None)

    def _note(self, namespace: str) -> None:
        """Log a problem when it begins."""
        problem = self._problem(namespace)
        if problem is None:
            if self._noted.pop(namespace, None) is not None:
                _log.info("the MLflowConfig of the namespace %s can be used again", namespace)
        elif self._noted.get(namespace) != problem:
            self._noted[namespace] = problem
            _log.warning("%s", refusal(namespace, problem))


def refusal(namespace: str, problem: str) -> str:
    """Why no experiment is created, in words for the people of the namespace."""
    return (
        f"No experiment is created in the workspace '{namespace}', because its MLflowConfig cannot be used: "
        f"{problem} Those that are there work as before."
    )
