"""Fields that the API server fills in, by kind."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from workspace_authz.devplane.embedded import kinds
from workspace_authz.devplane.embedded.kinds import Kind
from workspace_authz.devplane.embedded.objects import Object, labels_of, name_of, with_metadata
from workspace_authz.devplane.embedded.policy import GROUP as RBAC

NAME_LABEL = "kubernetes.io/metadata.name"
"""Every namespace carries its name in this label."""


def with_defaults(kind: Kind, obj: Object) -> Object:
    """A copy with what the caller may leave out."""
    if kind is kinds.NAMESPACES:
        named = with_metadata(obj, labels={**labels_of(obj), NAME_LABEL: name_of(obj)})
        return {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}, **named}
    if kind is kinds.SECRETS:
        return _secret(obj)
    if kind in (kinds.ROLES, kinds.CLUSTER_ROLES):
        return {**obj, "rules": obj.get("rules") or None}  # null, as kube-apiserver writes it
    if kind in (kinds.ROLE_BINDINGS, kinds.CLUSTER_ROLE_BINDINGS):
        return _binding(obj)
    return obj


def _secret(secret: Object) -> Object:
    encoded = {key: _encoded(value) for key, value in (secret.get("stringData") or {}).items()}
    data = {**(secret.get("data") or {}), **encoded}
    kept = {key: value for key, value in secret.items() if key not in ("stringData", "data")}
    return {"type": "Opaque", **kept, **({"data": data} if data else {})}


def _binding(binding: Object) -> Object:
    role = {"apiGroup": RBAC, **(binding.get("roleRef") or {})}
    subjects = [_subject(subject) for subject in binding.get("subjects") or ()]
    return {**binding, "roleRef": role, **({"subjects": subjects} if subjects else {})}


def _subject(subject: Mapping[str, Any]) -> Object:
    if subject.get("kind") in ("User", "Group"):
        return {"apiGroup": RBAC, **subject}
    return dict(subject)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")
