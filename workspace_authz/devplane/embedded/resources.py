"""The verbs on stored objects, without HTTP: each takes a parsed request and returns an object."""

from __future__ import annotations

from typing import Any

from workspace_authz.devplane.embedded import bodies
from workspace_authz.devplane.embedded.bodies import Body
from workspace_authz.devplane.embedded.escalation import EscalationGuard
from workspace_authz.devplane.embedded.kinds import NAMESPACES, SERVICE_ACCOUNTS, Kind
from workspace_authz.devplane.embedded.objects import Object, name_of, uid_of
from workspace_authz.devplane.embedded.rbac import RbacAuthorizer
from workspace_authz.devplane.embedded.registry import Registry
from workspace_authz.devplane.embedded.requests import ApiRequest
from workspace_authz.devplane.embedded.selectors import selection
from workspace_authz.devplane.embedded.status import (
    ApiError,
    FieldProblem,
    Target,
    bad_request,
    invalid,
    invalid_value,
    not_found,
    unsupported,
)
from workspace_authz.types import UserInfo


class Resources:
    """Reads and writes of stored kinds, for callers who were allowed the request; escalation is checked."""

    def __init__(self, registry: Registry, authorizer: RbacAuthorizer) -> None:
        self._registry = registry
        self._guard = EscalationGuard(authorizer)

    def get(self, kind: Kind, request: ApiRequest) -> Object:
        """One object."""
        return self._registry.get(kind, namespace=_namespace(kind, request), name=request.path_name)

    def list(self, kind: Kind, request: ApiRequest) -> Object:
        """A ``…List`` of all objects that the selectors choose, in one page whatever ``limit`` says.

        Raises a 400 for selectors, a 422 for what is not supported.
        """
        query, store = request.query, self._registry.store
        if query.get("continue") or query.get("resourceVersionMatch") == "Exact":
            raise unsupported("lists of an earlier version")
        chosen = selection(labels=query.get("labelSelector", ""), fields=query.get("fieldSelector", ""))
        objects = filter(chosen, store.list(kind.resource, request.attributes.namespace))
        items = [
            {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")} for obj in objects
        ]
        head = {"kind": f"{kind.kind}List", "apiVersion": kind.api_version}
        return {**head, "metadata": {"resourceVersion": str(store.version)}, "items": items}

    def create(self, kind: Kind, request: ApiRequest, body: Body, user: UserInfo) -> Object:
        """Create what the body says."""
        namespace, obj = _namespace(kind, request), self._parse(kind, request, body)
        prepared = self._registry.prepare(kind, obj, namespace=namespace)
        self._guard.check(kind, prepared, user=user, namespace=namespace, old=None)
        return self._registry.create(kind, prepared, namespace=namespace, dry_run=request.dry_run)

    def update(self, kind: Kind, request: ApiRequest, body: Body, user: UserInfo) -> Object:
        """Replace an object by what the body says."""
        new = self._parse(kind, request, body)
        return self._update(kind, request, new, old=self.get(kind, request), user=user)

    def patch(self, kind: Kind, request: ApiRequest, body: Body, user: UserInfo) -> Object:
        """Change an object as the body says."""
        patch = bodies.parse_patch(kind, body)
        old = self.get(kind, request)
        document = bodies.merge_patch(old, patch)
        try:
            new = self._decode(kind, request, document)
        except ApiError as error:
            raise _unfit_patch(error) from error
        if (uid := uid_of(new)) != uid_of(old):
            why = "field is immutable"
            raise invalid(kind.target(request.path_name), [invalid_value("metadata.uid", uid, why)])
        return self._update(kind, request, new, old=old, user=user)

    def delete(self, kind: Kind, request: ApiRequest, body: Body) -> Object:
        """Delete one object: the object where Kubernetes returns it, else a ``Status``."""
        options = bodies.parse_delete_options(body)
        if options.get("preconditions"):
            raise unsupported("preconditions of a deletion")
        obj = self.get(kind, request)
        dry_run = request.dry_run or "All" in options.get("dryRun", ())
        deleted, gone = self._registry.delete(kind, obj, dry_run=dry_run)
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


def _namespace(kind: Kind, request: ApiRequest) -> str:
    namespace = request.attributes.namespace
    if kind.namespaced:
        return namespace
    if namespace and kind is not NAMESPACES:
        raise not_found(kind.target(request.path_name))
    return ""
