"""Namespaces that a look-up has found before the watch has reported them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from workspace_authz.workspaces.namespace import NamespaceInfo

TRUSTED_SECONDS: Final = 30.0
"""How long a look-up is not repeated."""
SERVED_SECONDS: Final = 60.0
"""How long its answer is served. Longer, so that a request looked up just in time is still served."""
_SIZE: Final = 1024


class RecentLookups:
    """What look-ups found, until the watch knows better or the answer is too old.

    It must end by itself: the watch never reports a namespace that stopped being a workspace before the list.
    Reading is safe from any thread.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._found: dict[str, tuple[NamespaceInfo, float]] = {}

    def put(self, info: NamespaceInfo) -> None:
        """Remember what was found now."""
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

    def settle(self, name: str, uid: str) -> None:
        """The watch has reported this incarnation of the namespace: its word counts from now on."""
        found = self._found.get(name)
        if found is not None and found[0].uid == uid:
            del self._found[name]
