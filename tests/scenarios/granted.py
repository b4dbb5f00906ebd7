"""What tests of grants look at in a namespace that others use, too."""

from __future__ import annotations

from typing import Any

from workspace_authz.grants.objects import SUBJECT


def ours(item: Any) -> bool:
    """Whether an object is for dora, or a Role with a name of its own."""
    annotations: dict[str, str] = item["metadata"].get("annotations", {})
    return annotations.get(SUBJECT, "dora") == "dora"
