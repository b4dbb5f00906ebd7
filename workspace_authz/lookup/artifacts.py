"""Which experiment an artifact path lies in. Whatever MLflow could read in another way has none."""

from __future__ import annotations

import re
from typing import Final

_WORKSPACES: Final = "workspaces"
_ODD: Final = re.compile(r"[\\%\x00-\x1f\x7f]")
"""A backslash, a leftover of percent-encoding, control characters."""


def experiment_of(path: str, *, workspace: str | None) -> str | None:
    """The experiment id in ``[workspaces/<workspace>/]<experiment_id>/…``; None when there is none.

    ``workspace`` is None on a server without workspaces, where the prefix means nothing.
    """
    segments = path.split("/")
    if _ODD.search(path) or any(segment in ("", ".", "..") for segment in segments):
        return None
    if segments[0] == _WORKSPACES:
        if workspace is None or segments[1:2] != [workspace]:
            return None
        segments = segments[2:]
    return segments[0] if segments and re.fullmatch(r"[0-9]+", segments[0]) else None
