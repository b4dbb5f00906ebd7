"""What the API says about itself: versions, groups, resources, and a little OpenAPI v3 for kubectl.

kubectl asks OpenAPI only whether the server checks fields itself (``fieldValidation``); it knows the shape of
the kinds that are served here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from workspace_authz.devplane.embedded import kinds
from workspace_authz.devplane.embedded.kinds import Kind
from workspace_authz.devplane.embedded.objects import Object

OPENAPI_V2 = "/openapi/v2"
OPENAPI_V2_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
"""Served empty: kubectl only falls back to it when v3 does not know a kind."""

VERSION: Final[Mapping[str, str]] = MappingProxyType(
    {
        "major": "1",
        "minor": "36",
        "gitVersion": "v1.36.3+embedded",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": "CPython",
        "platform": "any",
    }
)
"""``/version``: the release whose behaviour this engine follows."""

_STORED_VERBS = ("create", "delete", "get", "list", "patch", "update", "watch")
_OPENAPI_V3 = "/openapi/v3"
_PARAMETERS: Final = ("dryRun", "fieldManager", "fieldValidation")
_SERVED = (*kinds.STORED, *kinds.REVIEWS)


def documents() -> Mapping[str, Object]:
    """Every discovery document, by path without a trailing slash."""
    groups = sorted({kind.group for kind in _SERVED if kind.group})
    found: dict[str, Object] = {
        "/version": dict(VERSION),
        "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(each) for each in groups]},
        "/api/v1": _resource_list("v1", _of_group("")),
    }
    for group in groups:
        found[f"/apis/{group}"] = {"kind": "APIGroup", "apiVersion": "v1", **_group(group)}
        found[f"/apis/{group}/v1"] = _resource_list(f"{group}/v1", _of_group(group))
    roots = {path.strip("/"): list(_of_group(_group_of(path))) for path in found if path.endswith("/v1")}
    index = {root: {"serverRelativeURL": f"{_OPENAPI_V3}/{root}"} for root in roots}
    openapi = {f"{_OPENAPI_V3}/{root}": _openapi(root, served) for root, served in roots.items()}
    return {**found, _OPENAPI_V3: {"paths": index}, **openapi}


def _of_group(group: str) -> Iterator[Kind]:
    yield from (kind for kind in _SERVED if kind.group == group)
    if not group:
        yield kinds.TOKEN_REQUESTS


def _group_of(path: str) -> str:
    return path.split("/")[2] if path.startswith("/apis/") else ""


def _group(name: str) -> Object:
    version = {"groupVersion": f"{name}/v1", "version": "v1"}
    return {"name": name, "versions": [version], "preferredVersion": version}


def _resource_list(group_version: str, served: Iterable[Kind]) -> Object:
    resources = [_resource(kind) for kind in served]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": resources,
    }


def _resource(kind: Kind) -> Object:
    name = f"{kind.resource}/{kind.subresource}" if kind.subresource else kind.resource
    fields: Object = {
        "name": name,
        "singularName": "" if kind.subresource else kind.kind.lower(),
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(_verbs(kind)),
    }
    if kind.subresource:
        fields |= {"group": kind.group, "version": "v1"}
    if kind.short_names:
        fields["shortNames"] = list(kind.short_names)
    return fields


def _verbs(kind: Kind) -> Sequence[str]:
    if kind not in kinds.STORED:
        return ("create",)
    return _STORED_VERBS


def _openapi(root: str, served: Sequence[Kind]) -> Object:
    paths: Object = {}
    for kind in served:
        scope = "/namespaces/{namespace}" if kind.namespaced else ""
        collection = f"/{root}{scope}/{kind.resource}"
        if kind.subresource:
            paths[f"{collection}/{{name}}/{kind.subresource}"] = {"post": _operation(kind, "post")}
        else:
            paths[collection] = {"post": _operation(kind, "post")}
            paths[f"{collection}/{{name}}"] = {verb: _operation(kind, verb) for verb in ("put", "patch")}
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1"}, "paths": paths}


def _operation(kind: Kind, action: str) -> Object:
    named = {"group": kind.group, "version": "v1", "kind": kind.kind}
    return {
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": named,
        "parameters": [{"name": name, "in": "query", "schema": {"type": "string"}} for name in _PARAMETERS],
        "responses": {"200": {"description": "OK"}},
    }
