"""What a request makes. Who makes something gets no right on it by that: RBAC has no owners."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from workspace_authz.catalog.model import Guarded
from workspace_authz.grants.commands import is_word
from workspace_authz.grants.levels import Level
from workspace_authz.grants.objects import ObjectGrant
from workspace_authz.mlflow_adapter.reading.reader import RequestReader
from workspace_authz.types import Resource, Verb

_NAMES: Final[Mapping[Resource, str]] = MappingProxyType(
    {
        Resource.EXPERIMENTS: "name",
        Resource.REGISTERED_MODELS: "name",
        Resource.DATASETS: "name",
        Resource.GATEWAY_ENDPOINTS: "name",
        Resource.GATEWAY_MODEL_DEFINITIONS: "name",
        Resource.GATEWAY_SECRETS: "secret_name",
    }
)
"""The field of a create's body with the name of the new object."""


def created_by(guarded: Guarded, reader: RequestReader) -> ObjectGrant | None:
    """The new object with every right on it; None where the request names none.

    Nothing is read for it: a body that no rule needed is not looked into.
    """
    first = guarded.requirements[0]
    if first.verb is not Verb.CREATE or first.subresource or first.names or first.resource not in _NAMES:
        return None
    name = reader.known(_NAMES[first.resource])
    return ObjectGrant(first.resource, name, Level.MANAGE) if is_word(name) else None
