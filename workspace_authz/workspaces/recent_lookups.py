"""Namespaces that were looked up before the watch reported them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from workspace_authz.workspaces.namespace import NamespaceInfo

TRUSTED_SECONDS: Final = 30.0
"""How long a look-up is not repeated."""
SERVED_SECONDS: Final = 60.0
"""How long its answer is served. Longer, so that a request that was let in just before is still served."""
_SIZE: Final = 1024


class RecentLookups:
    """What look-ups found, until the watch reports the same namespace or the answer is too old.

    Answers must expire: the watch never reports a namespace that stopped being a workspace before the watch
    saw it. Reading is safe from any thread.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._found: dict[str, tuple[NamespaceInfo, float]] = {}

    def put(self, info: NamespaceInfo) -> None:
        """Keep a namespace that was found now."""
        self._found.pop(info.name, None)
        while len(self._found) >= _SIZE:
            del self._found[next(iter(self._found))]
        self._found[info.name] = (info, self._monotonic())

    def get(self, name: str, *, seconds: float = SERVED_SECONDS) -> NamespaceInfo | None:
        """The namespace, if it was found at most ``seconds`` ago."""
        found = self._found.get(name)
        if found is None or self._monotonic() - found[1] >= seconds:
            return None
        return found[0]

    def names(self) -> list[str]:
        """Every name that :meth:`get` answers."""
        return [name for name in tuple(self._found) if self.get(name) is not None]

    def discard(self, name: str, uid: str) -> None:
        """Forget the namespace with this UID, because the watch has reported it."""
        found = self._found.get(name)
        if found is not None and found[0].uid == uid:
            del self._found[name]
