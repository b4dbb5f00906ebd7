"""The verbs on stored objects, without HTTP: each takes a parsed request and returns an object."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from workspace_authz.devplane.embedded import bodies
from workspace_authz.devplane.embedded.bodies import Body
from workspace_authz.devplane.embedded.escalation import EscalationGuard
from workspace_authz.devplane.embedded.kinds import NAMESPACES, SERVICE_ACCOUNTS, Kind
from workspace_authz.devplane.embedded.lists import list_objects
from workspace_authz.devplane.embedded.objects import Object, name_of, timestamp, uid_of, with_metadata
from workspace_authz.devplane.embedded.patching import json_patch, merge_patch, strategic_merge_patch
from workspace_authz.devplane.embedded.policy import AccessAttributes
from workspace_authz.devplane.embedded.rbac import RbacAuthorizer
from workspace_authz.devplane.embedded.registry import Preconditions, Registry
from workspace_authz.devplane.embedded.requests import ApiRequest, is_true, refusal
from workspace_authz.devplane.embedded.serverside import apply
from workspace_authz.devplane.embedded.status import (
    ApiError,
    FieldProblem,
    Target,
    bad_request,
    invalid,
    invalid_value,
    not_found,
    required_value,
)
from workspace_authz.types import UserInfo


class Resources:
    """Reads and writes of stored kinds, for callers who were allowed the request; escalation is checked."""

    def __init__(
        self, registry: Registry, authorizer: RbacAuthorizer, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._registry = registry
        self._authorizer = authorizer
        self._guard = EscalationGuard(authorizer)
        self._clock = clock

    def get(self, kind: Kind, request: ApiRequest) -> Object:
        """One object."""
        return self._registry.get(kind, namespace=_namespace(kind, request), name=request.path_name)

    def create(self, kind: Kind, request: ApiRequest, body: Body, user: UserInfo) -> Object:
        """Create what the body says."""
        return self._create(kind, request, self._parse(kind, request, body), user)

    def update(self, kind: Kind, request: ApiRequest, body: Body, user: UserInfo) -> Object:
        """Replace an object by what the body says."""
        new = self._parse(kind, request, body)
        old = self.get(kind, request)
        managers = old["metadata"].get("managedFields")
        return self._update(kind, request, with_metadata(new, managedFields=managers), old=old, user=user)

    def patch(self, kind: Kind, request: ApiRequest, body: Body, user: UserInfo) -> tuple[Object, bool]:
        """Change an object as the body says; returns it, and whether it is new (only apply creates)."""
        patch = bodies.parse_patch(body)
        if body.media_type == bodies.APPLY_PATCH:
            return self._apply(kind, request, patch, user)
        old = self.get(kind, request)
        if body.media_type == bodies.JSON_PATCH:
            document = json_patch(old, patch)
        elif body.media_type == bodies.MERGE_PATCH:
            document = merge_patch(old, patch)
        else:
            document = strategic_merge_patch(kind.schema, old, patch)
        try:
            new = self._decode(kind, request, document)
        except ApiError as error:
            raise _unfit_patch(error) from error
        if (uid := uid_of(new)) != uid_of(old):
            why = "field is immutable"
            raise invalid(kind.target(request.path_name), [invalid_value("metadata.uid", uid, why)])
        return self._update(kind, request, new, old=old, user=user), False

    def delete(self, kind: Kind, request: ApiRequest, body: Body) -> Object:
        """Delete one object: the object where Kubernetes returns it, else a ``Status``."""
        options = bodies.parse_delete_options(body)
        expected = Preconditions.of(options.get("preconditions") or {})
        obj = self.get(kind, request)
        dry_run = request.dry_run or "All" in options.get("dryRun", ())
        deleted, gone = self._registry.delete(kind, obj, expected=expected, dry_run=dry_run)
        if not gone or kind in (SERVICE_ACCOUNTS, NAMESPACES):
            return deleted
        details = {"name": name_of(obj), "group": kind.group, "kind": kind.resource, "uid": uid_of(obj)}
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": {key: value for key, value in details.items() if value},
        }

    def delete_collection(self, kind: Kind, request: ApiRequest) -> Object:
        """Delete everything that the selectors choose; returns it as a list."""
        page = list_objects(self._registry.store, kind, request)
        for obj in page.objects:
            self._registry.delete(kind, obj, expected=Preconditions(), dry_run=request.dry_run)
        return object_list(kind, page.objects, page.metadata)

    def _apply(self, kind: Kind, request: ApiRequest, document: Any, user: UserInfo) -> tuple[Object, bool]:
        manager = request.query.get("fieldManager")
        if not manager:
            problem = required_value("fieldManager", "is required for apply patch")
            raise invalid(Target("meta.k8s.io", "", "PatchOptions"), [problem])
        config = self._decode(kind, request, document)
        namespace, now = _namespace(kind, request), timestamp(self._clock())
        live = self._registry.store.get(kind.resource, namespace, request.path_name)
        force = is_true(request.query.get("force"))
        new = apply(kind, live, config, manager=manager, force=force, now=now)
        if live is None:
            self._allow_create(request, user)
            return self._create(kind, request, new, user), True
        return self._update(kind, request, new, old=live, user=user), False

    def _allow_create(self, request: ApiRequest, user: UserInfo) -> None:
        asked = request.attributes
        create = AccessAttributes(
            "create", asked.group, asked.resource, namespace=asked.namespace, name=asked.name
        )
        answer = self._authorizer.authorize(user, create)
        if not answer.allowed:
            raise refusal(user, create, answer.reason)

    def _create(self, kind: Kind, request: ApiRequest, obj: Object, user: UserInfo) -> Object:
        namespace = _namespace(kind, request)
        prepared = self._registry.prepare(kind, obj, namespace=namespace)
        self._guard.check(kind, prepared, user=user, namespace=namespace, old=None)
        return self._registry.create(kind, prepared, namespace=namespace, dry_run=request.dry_run)

    def _update(self, kind: Kind, request: ApiRequest, new: Object, *, old: Object, user: UserInfo) -> Object:
        prepared = self._registry.prepare_update(kind, new, old=old)
        self._guard.check(kind, prepared, user=user, namespace=_namespace(kind, request), old=old)
        return self._registry.update(kind, prepared, old=old, dry_run=request.dry_run)

    def _parse(self, kind: Kind, request: ApiRequest, body: Body) -> Object:
        validation = request.query.get("fieldValidation", "")
        return _named(request, bodies.parse_object(kind, body, field_validation=validation))

    def _decode(self, kind: Kind, request: ApiRequest, document: Any) -> Object:
        validation = request.query.get("fieldValidation", "")
        return _named(request, bodies.decode_object(kind, document, field_validation=validation))


def _unfit_patch(error: ApiError) -> ApiError:
    problem = FieldProblem("patch", "FieldValueInvalid", f"Invalid value: {error.message}")
    return invalid(Target("", ""), [problem])


def _named(request: ApiRequest, obj: Object) -> Object:
    if request.path_name and name_of(obj) != request.path_name:
        raise bad_request(
            f"the name of the object ({name_of(obj)}) does not match the name on the URL "
            f"({request.path_name})"
        )
    return obj


def object_list(kind: Kind, objects: list[Object], metadata: Object) -> Object:
    """A ``…List`` object."""
    items = [
        {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")} for obj in objects
    ]
    return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata, "items": items}


def _namespace(kind: Kind, request: ApiRequest) -> str:
    namespace = request.attributes.namespace
    if kind.namespaced:
        return namespace
    if namespace and kind is not NAMESPACES:
        raise not_found(kind.target(request.path_name))
    return ""
