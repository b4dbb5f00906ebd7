"""What a part of the server counts, for the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workspace_authz.aio.cache import ExpiringCache
from workspace_authz.aio.coalesce import Coalescer


@dataclass(frozen=True, slots=True)
class Statistics:
    """Caches and coalescers, by the name that the metrics show."""

    caches: Mapping[str, ExpiringCache[Any, Any]] = field(default_factory=dict)
    coalescers: Mapping[str, Coalescer[Any, Any]] = field(default_factory=dict)
