"""The verbs on stored objects, without HTTP: each takes a parsed request and returns an object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from workspace_authz.devplane.embedded import bodies
from workspace_authz.devplane.embedded.bodies import Body
from workspace_authz.devplane.embedded.escalation import EscalationGuard
from workspace_authz.devplane.embedded.kinds import NAMESPACES, SERVICE_ACCOUNTS, Kind
from workspace_authz.devplane.embedded.objects import Object, metadata, name_of, uid_of
from workspace_authz.devplane.embedded.rbac import RbacAuthorizer
from workspace_authz.devplane.embedded.registry import Registry
from workspace_authz.devplane.embedded.requests import ApiRequest
from workspace_authz.devplane.embedded.selectors import selection
from workspace_authz.devplane.embedded.status import (
    ApiError,
    FieldProblem,
    Target,
    bad_request,
    conflict,
    invalid,
    invalid_value,
    unsupported,
)
from workspace_authz.types import UserInfo

_PRECONDITIONS: Final = (
    ("uid", "UID", "deleted and then recreated"),
    ("resourceVersion", "ResourceVersion", "modified"),
)


@dataclass(frozen=True, slots=True)
class Call:
    """A request about stored objects: which kind, what is asked, and by whom."""

    kind: Kind
    request: ApiRequest
    user: UserInfo

    @property
    def namespace(self) -> str:
        """The namespace of the objects; empty for a kind without namespaces."""
        return self.request.attributes.namespace if self.kind.namespaced else ""


class Resources:
    """Reads and writes of stored kinds, for callers who were allowed the request; escalation is checked."""

    def __init__(self, registry: Registry, authorizer: RbacAuthorizer) -> None:
        self._registry = registry
        self._guard = EscalationGuard(authorizer)

    def get(self, call: Call) -> Object:
        """One object. Raises a 404."""
        return self._registry.get(call.kind, namespace=call.namespace, name=call.request.path_name)

    def list(self, call: Call) -> Object:
        """A ``…List`` of all objects that the selectors choose, in one page whatever ``limit`` says.

        Raises a 400 for selectors, a 422 for what is not supported.
        """
        kind, query, store = call.kind, call.request.query, self._registry.store
        if query.get("continue") or query.get("resourceVersionMatch") == "Exact":
            raise unsupported("lists of an earlier version")
        chosen = selection(labels=query.get("labelSelector", ""), fields=query.get("fieldSelector", ""))
        items = [
            {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")}
            for obj in filter(chosen, store.list(kind.resource, call.request.attributes.namespace))
        ]
        head = {"kind": f"{kind.kind}List", "apiVersion": kind.api_version}
        return {**head, "metadata": {"resourceVersion": str(store.version)}, "items": items}

    def create(self, call: Call, body: Body) -> Object:
        """Create what the body says."""
        kind, namespace = call.kind, call.namespace
        obj = _named(call, bodies.parse_object(kind, body, field_validation=call.request.field_validation))
        prepared = self._registry.prepare(kind, obj, namespace=namespace)
        self._guard.check(kind, prepared, user=call.user, namespace=namespace, old=None)
        return self._registry.create(kind, prepared, namespace=namespace, dry_run=call.request.dry_run)

    def update(self, call: Call, body: Body) -> Object:
        """Replace an object by what the body says."""
        validation = call.request.field_validation
        new = _named(call, bodies.parse_object(call.kind, body, field_validation=validation))
        return self._update(call, new, old=self.get(call))

    def patch(self, call: Call, body: Body) -> Object:
        """Change an object as the body says.

        Raises a 400 for an unreadable body, a 404 where there is no such object, and a 422 for a result that
        may not be stored.
        """
        kind, validation = call.kind, call.request.field_validation
        patch, old = bodies.parse_patch(kind, body), self.get(call)
        document = bodies.merge_patch(old, patch)
        try:
            new = _named(call, bodies.decode_object(kind, document, field_validation=validation))
        except ApiError as error:
            raise _unfit_patch(error) from error
        if (uid := uid_of(new)) != uid_of(old):
            problem = invalid_value("metadata.uid", uid, why="field is immutable")
            raise invalid(kind.target(call.request.path_name), [problem])
        return self._update(call, new, old=old)

    def delete(self, call: Call, body: Body) -> Object:
        """Delete one object: the object where Kubernetes returns it, else a ``Status``.

        Raises a 404 where there is no such object, and a 409 where it is not the one that is meant.
        """
        options, kind = bodies.parse_delete_options(body), call.kind
        obj = self.get(call)
        _check_preconditions(call, obj, wanted=options.get("preconditions") or {})
        dry_run = call.request.dry_run or "All" in options.get("dryRun", ())
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

    def _update(self, call: Call, new: Object, *, old: Object) -> Object:
        prepared = self._registry.prepare_update(call.kind, new, old=old)
        self._guard.check(call.kind, prepared, user=call.user, namespace=call.namespace, old=old)
        return self._registry.update(call.kind, prepared, old=old, dry_run=call.request.dry_run)


def _check_preconditions(call: Call, obj: Object, *, wanted: Mapping[str, str]) -> None:
    # kube-apiserver names the kind here, where elsewhere it names the resource.
    target, own = Target(call.kind.group, call.kind.kind, name=call.request.path_name), metadata(obj)
    for key, name, remark in _PRECONDITIONS:
        if wanted.get(key, own[key]) != own[key]:
            raise conflict(
                target,
                f"the {name} in the precondition ({wanted[key]}) does not match the {name} in record "
                f"({own[key]}). The object might have been {remark}",
            )


def _unfit_patch(error: ApiError) -> ApiError:
    problem = FieldProblem("patch", "FieldValueInvalid", f"Invalid value: {error.message}")
    return invalid(Target("", ""), [problem])


def _named(call: Call, obj: Object) -> Object:
    wanted = call.request.path_name
    if wanted and name_of(obj) != wanted:
        raise bad_request(
            f"the name of the object ({name_of(obj)}) does not match the name on the URL ({wanted})"
        )
    return obj
