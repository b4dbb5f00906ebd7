"""Kubeconfig files with one cluster and one user."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


def kubeconfig(
    path: Path,
    *,
    cluster: Mapping[str, Any] | None = None,
    user: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
    name: str = "c",
) -> str:
    """Write one, whose context, cluster and user are called ``name``, and return its path."""
    document = {
        "current-context": name,
        "contexts": [
            {"name": "other", "context": {"cluster": "none", "user": "none"}},
            {"name": name, "context": {"cluster": name, "user": name, **(context or {})}},
        ],
        "clusters": [
            {"name": name, "cluster": {"server": "https://api.example.com:6443", **(cluster or {})}}
        ],
        "users": [{"name": name, "user": {"token": "t"} if user is None else dict(user)}],
    }
    path.write_text(yaml.safe_dump(document))
    return str(path)
