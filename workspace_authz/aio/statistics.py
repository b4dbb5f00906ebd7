"""What a part of the server counts of itself, for whoever shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workspace_authz.aio.cache import ExpiringCache
from workspace_authz.aio.coalesce import Coalescer


@dataclass(frozen=True, slots=True)
class Statistics:
    """Caches and shared questions, by a name of their own."""

    caches: Mapping[str, ExpiringCache[Any, Any]] = field(default_factory=dict)
    shared: Mapping[str, Coalescer[Any, Any]] = field(default_factory=dict)
