"""A pod's own token, which the kubelet replaces before it expires."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Final, Protocol

_SECONDS: Final = 60.0
"""As client-go reads it; the kubelet replaces a token after 80 % of its time, at least ten minutes."""


class _Keys(Protocol):
    """What is used of kubernetes_asyncio's ``Configuration``."""

    @property
    def api_key(self) -> MutableMapping[str, str]:
        """Values of the header ``Authorization``, by identifier."""


class TokenFile:
    """Read again every minute. By the monotonic clock: kubernetes_asyncio's may be set back."""

    def __init__(self, path: Path, *, monotonic: Callable[[], float]) -> None:
        self._path = path
        self._monotonic = monotonic
        self._next = monotonic() + _SECONDS

    async def refresh(self, configuration: _Keys) -> None:
        """The configuration's ``refresh_api_key_hook``. What cannot be read leaves the token as it was."""
        if self._monotonic() < self._next:
            return
        self._next = self._monotonic() + _SECONDS
        try:
            token = (await asyncio.to_thread(self._path.read_text, "ascii")).strip()
        except (OSError, ValueError):
            return
        if token:
            configuration.api_key["BearerToken"] = f"Bearer {token}"
