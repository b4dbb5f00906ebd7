"""Kubernetes objects as the embedded engine holds them: JSON as parsed, never changed in place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]
"""A JSON object. Whoever wants another value builds a new one: readers and watchers share it."""


def metadata(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """``metadata``, empty when there is none."""
    value = obj.get("metadata")
    return value if isinstance(value, Mapping) else {}


def name_of(obj: Mapping[str, Any]) -> str:
    """``metadata.name``."""
    return str(metadata(obj).get("name", ""))


def namespace_of(obj: Mapping[str, Any]) -> str:
    """``metadata.namespace``; empty for cluster-scoped objects."""
    return str(metadata(obj).get("namespace", ""))


def uid_of(obj: Mapping[str, Any]) -> str:
    """``metadata.uid``."""
    return str(metadata(obj).get("uid", ""))


def labels_of(obj: Mapping[str, Any]) -> Mapping[str, str]:
    """``metadata.labels``."""
    return metadata(obj).get("labels") or {}


def version_of(obj: Mapping[str, Any]) -> int:
    """``metadata.resourceVersion`` as the number it is here."""
    return int(metadata(obj).get("resourceVersion", 0))


def is_terminating(obj: Mapping[str, Any]) -> bool:
    """Whether deletion was asked for and waits for finalizers or contents."""
    return bool(metadata(obj).get("deletionTimestamp"))


def with_metadata(obj: Mapping[str, Any], **changes: Any) -> Object:
    """A copy with these fields of ``metadata`` set; None removes one."""
    merged = {**metadata(obj), **changes}
    return {**obj, "metadata": {key: value for key, value in merged.items() if value is not None}}


def timestamp(seconds: float) -> str:
    """Seconds since the epoch as Kubernetes writes a time: RFC 3339, UTC, whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
