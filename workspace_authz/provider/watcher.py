"""Namespaces for a process that is not a guarded worker: MLflow's job runner, its consumers, ``mlflow gc``.

The first use starts a daemon thread with its own event loop. It follows namespaces, and the artifact roots
that they choose if they may, and nothing else, with the process's own credential.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from workspace_authz.aio.clock import SystemClock
from workspace_authz.errors import ConfigurationError, UnavailableError
from workspace_authz.kubernetes.configuration import load_configuration
from workspace_authz.kubernetes.connection import server_connection
from workspace_authz.workspaces.artifact_roots import ArtifactBuckets
from workspace_authz.workspaces.directory import Directory
from workspace_authz.workspaces.namespace import NamespaceInfo
from workspace_authz.workspaces.policy import NamespacePolicy
from workspace_authz.workspaces.root_watcher import ArtifactRoots

SYNC_SECONDS: Final = 15.0
"""The longest that a use waits for the first list."""
_ANSWER_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 2.0
_CONNECTIONS: Final = 4
_UNKNOWN: Final = "The namespaces that are workspaces are not known: the API server has not answered."

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Followed:
    """What the thread hands out once its event loop runs."""

    directory: Directory
    roots: ArtifactRoots | None
    """None where namespaces choose no artifact roots."""
    loop: asyncio.AbstractEventLoop
    task: asyncio.Task[None]

    def wait(self, work: Coroutine[Any, Any, T], *, seconds: float) -> T:
        """Run ``work`` on the thread's event loop. Raises ``TimeoutError``."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result(seconds)
        finally:
            future.cancel()


class NamespaceWatcher:
    """A :class:`Directory` for synchronous callers on any thread. Building it starts nothing."""

    def __init__(
        self,
        policy: NamespacePolicy,
        *,
        kubeconfig: str | None = None,
        buckets: ArtifactBuckets | None = None,
        sync_seconds: float = SYNC_SECONDS,
    ) -> None:
        self._policy = policy
        self._buckets = buckets
        self._kubeconfig = kubeconfig
        self._sync_seconds = sync_seconds
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ready: Future[_Followed] = Future()

    def directory(self) -> Directory:
        """The namespaces, all of them seen once.

        Raises :class:`ConfigurationError` when there is no API server to ask, :class:`UnavailableError` when
        it does not answer.
        """
        return self._synced().directory

    def lookup(self, name: str) -> NamespaceInfo | None:
        """See :meth:`Directory.lookup`; raises as :meth:`directory` does."""
        followed = self._synced()
        try:
            return followed.wait(followed.directory.lookup(name), seconds=_ANSWER_SECONDS)
        except TimeoutError as error:
            raise _unavailable(followed) from error

    def artifact_roots(self) -> ArtifactRoots | None:
        """The artifact roots that namespaces choose, all of them seen once; None where they choose none.

        Raises as :meth:`directory`.
        """
        followed = self._synced()
        if followed.roots is not None and not followed.roots.synced:
            try:
                followed.wait(followed.roots.wait_synced(), seconds=self._sync_seconds)
            except TimeoutError as error:
                raise UnavailableError(followed.roots.problem or _UNKNOWN) from error
        return followed.roots

    def close(self) -> None:
        """End the thread, if there is one. A later use starts another."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None:
                return
            if thread.is_alive() and self._ready.done() and self._ready.exception() is None:
                followed = self._ready.result()
                followed.loop.call_soon_threadsafe(followed.task.cancel)
                thread.join(_CLOSE_SECONDS)

    def _synced(self) -> _Followed:
        try:
            followed = self._started().result(self._sync_seconds)
        except TimeoutError as error:
            raise UnavailableError(_UNKNOWN) from error
        if not followed.directory.synced:
            try:
                followed.wait(followed.directory.wait_synced(), seconds=self._sync_seconds)
            except TimeoutError as error:
                raise _unavailable(followed) from error
        return followed

    def _started(self) -> Future[_Followed]:
        with self._lock:
            # It ends when there is no API server to ask, and does not survive a fork.
            if self._thread is None or not self._thread.is_alive():
                self._ready = Future()
                self._thread = threading.Thread(
                    target=_main,
                    args=(self._policy, self._kubeconfig),
                    kwargs={"buckets": self._buckets, "ready": self._ready},
                    name="workspace-authz-namespaces",
                    daemon=True,
                )
                self._thread.start()
            return self._ready


def _main(
    policy: NamespacePolicy,
    kubeconfig: str | None,
    *,
    buckets: ArtifactBuckets | None,
    ready: Future[_Followed],
) -> None:
    try:
        asyncio.run(_follow(policy, kubeconfig, buckets=buckets, ready=ready))
    except ConfigurationError as error:
        ready.set_exception(error)
    except asyncio.CancelledError:
        return


async def _follow(
    policy: NamespacePolicy,
    kubeconfig: str | None,
    *,
    buckets: ArtifactBuckets | None,
    ready: Future[_Followed],
) -> None:
    connection = server_connection(await load_configuration(kubeconfig), limit=_CONNECTIONS)
    try:
        clock = SystemClock()
        directory = Directory(connection, policy, clock=clock)
        roots = ArtifactRoots(connection, buckets, clock=clock) if buckets else None
        task = asyncio.create_task(_run(directory, roots))
        ready.set_result(_Followed(directory, roots, asyncio.get_running_loop(), task))
        await task
    finally:
        await connection.close()


async def _run(directory: Directory, roots: ArtifactRoots | None) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(directory.run())
        if roots is not None:
            group.create_task(roots.run())


def _unavailable(followed: _Followed) -> UnavailableError:
    problem = followed.directory.state.problem
    return UnavailableError(f"{_UNKNOWN} {problem}" if problem else _UNKNOWN)
