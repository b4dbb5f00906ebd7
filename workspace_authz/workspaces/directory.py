"""The namespaces that are workspaces: followed by a watch, and looked up where the watch may be late."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from workspace_authz.aio.cache import ExpiringCache
from workspace_authz.aio.clock import Clock
from workspace_authz.aio.coalesce import Coalescer
from workspace_authz.errors import MisconfiguredError, UnavailableError
from workspace_authz.kubernetes.connection import Connection
from workspace_authz.kubernetes.informer import Informer
from workspace_authz.kubernetes.informer_state import Change, InformerState, Timing
from workspace_authz.kubernetes.listwatch import get_object, get_page
from workspace_authz.kubernetes.listwatch_answers import (
    DeniedError,
    JsonObject,
    ListWatchError,
    SelectorError,
    object_key,
)
from workspace_authz.types import is_namespace_name
from workspace_authz.workspaces.namespace import NamespaceInfo, read_namespace
from workspace_authz.workspaces.policy import NamespacePolicy
from workspace_authz.workspaces.recent_lookups import TRUSTED_SECONDS, RecentLookups

PATH: Final = "/api/v1/namespaces"

_LOOKUPS: Final = 8
"""Look-ups in flight at a time; more wait their turn."""
_LOOKUP_SECONDS: Final = 4.0
"""The longest look-up, the wait for a turn included."""
_MISSING_SECONDS: Final = 2.0
"""How long a namespace counts as missing, unless the watch reports it before."""
_SIZE: Final = 4096
_VERIFY_SECONDS: Final = 1.0
"""The longest look-up of a known namespace, while the watch is broken."""
_VERIFIED_SECONDS: Final = 2.0
"""How long its answer is cached."""
_UNVERIFIED_SECONDS: Final = 5.0
"""How long no other look-up is tried when there was no answer."""

_DENIED: Final = (
    "The server may not read namespaces, so a workspace cannot be looked up. "
    "An administrator finds the remedy with `workspace-authz check`."
)
_SELECTOR: Final = (
    "The API server does not accept the server's label selector, so a workspace cannot be looked up. "
    "An administrator finds it with `workspace-authz check`."
)
_UNKNOWN: Final = "The Kubernetes API server gave no usable answer, so this workspace could not be looked up."


class Directory:
    """Follows the namespaces that ``policy`` makes workspaces. Others, and terminating ones, are not served.

    The API server applies the label selector, in lists, watches and look-ups. :meth:`get` and :meth:`names`
    ask nobody and may be called from any thread. Everything else belongs to one event loop, on which
    :meth:`run` is running.
    """

    def __init__(
        self, connection: Connection, policy: NamespacePolicy, *, clock: Clock, timing: Timing | None = None
    ) -> None:
        self.policy = policy
        self._connection = connection
        self._informer = Informer(
            connection,
            PATH,
            keep=self._read,
            on_change=self._changed,
            clock=clock,
            label_selector=policy.label_selector,
            timing=timing,
        )
        self._served: dict[str, NamespaceInfo] = {}
        self._recent = RecentLookups(clock.monotonic)
        self._missing: ExpiringCache[str, bool] = ExpiringCache(size=_SIZE, monotonic=clock.monotonic)
        self._verified: ExpiringCache[str, NamespaceInfo] = ExpiringCache(
            size=_SIZE, monotonic=clock.monotonic
        )
        self._lookups: Coalescer[str, NamespaceInfo | None] = Coalescer()
        self._turns = asyncio.Semaphore(_LOOKUPS)
        self._overtaken: dict[str, bool] = {}
        """The names being looked up, and whether the watch has reported them since."""

    @property
    def state(self) -> InformerState:
        """How well the API server is being followed."""
        return self._informer.state

    @property
    def synced(self) -> bool:
        """Whether all namespaces have been seen once."""
        return self._informer.state.synced

    async def wait_synced(self) -> None:
        """Return once :attr:`synced` is true."""
        await self._informer.wait_synced()

    async def run(self) -> None:
        """Follow until cancelled."""
        await self._informer.run()

    def get(self, name: str) -> NamespaceInfo | None:
        """The namespace, if it is known and served."""
        return self._served.get(name) or self._recent.get(name)

    def names(self) -> tuple[str, ...]:
        """All that are known and served, sorted."""
        return tuple(sorted({*tuple(self._served), *self._recent.names()}))

    async def lookup(self, name: str) -> NamespaceInfo | None:
        """As :meth:`get`, but the API server is asked before a namespace counts as missing.

        While the watch is broken it is asked about known namespaces, too, because one may have been deleted
        and made again by somebody else. If it does not answer, they are served as they were last known: no
        review is answered then either. Raises :class:`UnavailableError` when it cannot be known, and
        :class:`MisconfiguredError` when the server lacks the right or its selector is not valid.
        """
        known = self._served.get(name) or self._recent.get(name, seconds=TRUSTED_SECONDS)
        if known is not None and self._informer.state.problem:
            known = self._verified.get(name)
        if known is not None:
            return known
        # The policy also keeps everything from the request's path that is no namespace's name.
        if self.policy.hides(name) or self._missing.get(name):
            return None
        return await self._lookups.share(name, lambda: self._fetch(name))

    async def uid(self, name: str) -> str | None:
        """The UID of a namespace, workspace or not; None if there is none. Asks the API server.

        Raises :class:`UnavailableError` and :class:`MisconfiguredError` as :meth:`lookup`.
        """
        if not is_namespace_name(name):
            return None
        try:
            async with asyncio.timeout(_LOOKUP_SECONDS), self._turns:
                item = await get_object(self._connection, f"{PATH}/{name}", timeout=_LOOKUP_SECONDS)
        except DeniedError as error:
            raise MisconfiguredError(_DENIED) from error
        except (ListWatchError, TimeoutError) as error:
            raise UnavailableError(_UNKNOWN) from error
        return None if item is None else self._read(item).uid

    async def _fetch(self, name: str) -> NamespaceInfo | None:
        last_known = self.get(name)
        try:
            async with asyncio.timeout(_VERIFY_SECONDS if last_known else _LOOKUP_SECONDS), self._turns:
                info = await self._fetch_current(name)
        except DeniedError as error:
            raise MisconfiguredError(_DENIED) from error
        except SelectorError as error:
            raise MisconfiguredError(_SELECTOR) from error
        except (ListWatchError, TimeoutError) as error:
            if last_known is None:
                raise UnavailableError(_UNKNOWN) from error
            self._verified.put(name, last_known, seconds=_UNVERIFIED_SECONDS)
            return last_known
        if info is None or not info.served:
            self._missing.put(name, True, seconds=_MISSING_SECONDS)
            return None
        self._verified.put(name, info, seconds=_VERIFIED_SECONDS)
        if name not in self._served:
            self._recent.put(info)
        return info

    async def _fetch_current(self, name: str) -> NamespaceInfo | None:
        """Ask until the watch reported nothing meanwhile: nothing tells which of the two is newer."""
        query = {"fieldSelector": f"metadata.name={name}"}
        if self.policy.label_selector:
            query["labelSelector"] = self.policy.label_selector
        try:
            while True:
                self._overtaken[name] = False
                page = await get_page(self._connection, PATH, query=query, timeout=_LOOKUP_SECONDS)
                if not self._overtaken[name]:
                    found = (item for item in page.items if object_key(item) == ("", name))
                    return next(map(self._read, found), None)
        finally:
            del self._overtaken[name]

    def _read(self, item: JsonObject) -> NamespaceInfo:
        return read_namespace(item, self.policy)

    def _changed(self, changes: Sequence[Change[NamespaceInfo]]) -> None:
        for change in changes:
            _, name = change.key
            if change.new is not None and change.new.served:
                self._served[name] = change.new
            else:
                self._served.pop(name, None)
            for known in (change.old, change.new):
                if known is not None:
                    self._recent.discard(name, known.uid)
            if name in self._overtaken:
                self._overtaken[name] = True
