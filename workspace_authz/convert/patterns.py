"""Which permission by regular expression decides on a name (mlflow-oidc-auth's ``best_matching_regex``).

Of those that fit, the lowest priority number decides; within it a denial, else the highest level.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby

from workspace_authz.convert.source import Permission, rank


@dataclass(frozen=True, slots=True)
class Patterns:
    """The regular expressions of one holder, in the order in which they are tried."""

    tiers: Sequence[Sequence[tuple[re.Pattern[str], Permission]]]

    def deciding(self, name: str) -> Permission | None:
        """The one that decides; None where none fits."""
        for tier in self.tiers:
            fitting = [permission for pattern, permission in tier if pattern.match(name)]
            if fitting:
                return max(fitting, key=_weight)
        return None


def patterns_of(permissions: Sequence[Permission]) -> Patterns:
    """The permissions, which all are of one holder and type. What is no regular expression fits nothing."""
    compiled: list[tuple[re.Pattern[str], Permission]] = []
    for each in sorted(permissions, key=lambda one: one.priority or 0):
        with suppress(re.error, OverflowError, RecursionError):
            compiled.append((re.compile(each.pattern), each))
    tiers = [list(tier) for _, tier in groupby(compiled, key=lambda pair: pair[1].priority)]
    return Patterns(tiers)


def _weight(permission: Permission) -> int:
    return 100 if permission.level is None else rank(permission.level)
