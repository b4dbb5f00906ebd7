"""Writes: what happens to an object between a request and the store, and what follows from it.

The registry fills in metadata and defaults, validates, keeps versions honest, and does at once what
Kubernetes' controllers do a moment later: a namespace's ``default`` service account, aggregation. Only
the deletion of a namespace takes time, as in a real cluster (:meth:`Registry.finish_namespaces`).
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable

from workspace_authz.devplane.embedded.aggregation import aggregate_cluster_roles
from workspace_authz.devplane.embedded.defaulting import with_defaults
from workspace_authz.devplane.embedded.kinds import CLUSTER_ROLES, NAMESPACES, SERVICE_ACCOUNTS, STORED, Kind
from workspace_authz.devplane.embedded.objects import (
    Object,
    is_terminating,
    metadata,
    name_of,
    namespace_of,
    timestamp,
    uid_of,
    with_metadata,
)
from workspace_authz.devplane.embedded.status import (
    ApiError,
    FieldProblem,
    already_exists,
    conflict,
    forbidden,
    method_not_allowed,
    namespace_mismatch,
    not_found,
)
from workspace_authz.devplane.embedded.store import Store
from workspace_authz.devplane.embedded.validation import check

_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # spells no words, as Kubernetes chose them
_GENERATED_LIMIT = 58
_STALE = "the object has been modified; please apply your changes to the latest version and try again"
_UNDELETABLE = frozenset(("default", "kube-system", "kube-public"))
_SYSTEM_FIELDS = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
    "managedFields",
)


class Registry:
    """Creates, updates and deletes objects in ``store``. ``clock`` is seconds since the epoch."""

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self._clock = clock

    def get(self, kind: Kind, *, namespace: str, name: str) -> Object:
        """The object. Raises a 404 when there is none."""
        found = self.store.get(kind.resource, namespace, name=name)
        if found is None:
            raise not_found(kind.target(name))
        return found

    def prepare(self, kind: Kind, obj: Object, *, namespace: str) -> Object:
        """A new object as it would be stored. Raises a 400 or 422."""
        new = with_defaults(kind, self._new_metadata(kind, obj, namespace=namespace))
        check(kind, new)
        return new

    def create(self, kind: Kind, new: Object, *, namespace: str, dry_run: bool = False) -> Object:
        """Store what :meth:`prepare` made. Raises a 404 or 403 for its namespace, 409 for its name."""
        self._require_namespace(kind, namespace, name=name_of(new))
        if self.store.get(kind.resource, namespace, name=name_of(new)) is not None:
            raise already_exists(kind.target(name_of(new)))
        if dry_run:
            return new
        stored = self.store.put(kind.resource, new)
        if kind is NAMESPACES:
            self._add_default_account(name_of(stored))
        self._aggregate(kind)
        return self.get(kind, namespace=namespace, name=name_of(stored))

    def prepare_update(self, kind: Kind, new: Object, *, old: Object) -> Object:
        """A changed object as it would be stored. Raises a 409 if it was made from another version, 422."""
        if uid_of(new) not in ("", uid_of(old)):
            why = (
                f"Precondition failed: UID in precondition: {uid_of(new)}, UID in object meta: {uid_of(old)}"
            )
            raise conflict(kind.target(name_of(old)), why)
        if metadata(new).get("resourceVersion") not in (None, metadata(old)["resourceVersion"]):
            raise conflict(kind.target(name_of(old)), _STALE)
        kept = {key: metadata(old).get(key) for key in (*_SYSTEM_FIELDS, "resourceVersion", "generateName")}
        new = with_metadata(new, **kept, namespace=namespace_of(old) or None)
        new = {**new, "apiVersion": kind.api_version, "kind": kind.kind}
        if kind is NAMESPACES:
            new |= {"spec": old["spec"], "status": old["status"]}  # Kubernetes has subresources for them
        if new.get("aggregationRule") and old.get("aggregationRule"):
            new["rules"] = old["rules"]  # they are not the author's to write
        new = with_defaults(kind, new)
        check(kind, new, old=old)
        return new

    def update(self, kind: Kind, new: Object, *, old: Object, dry_run: bool = False) -> Object:
        """Replace ``old`` by what :meth:`prepare_update` made; without a change the version stays."""
        if new == old or dry_run:
            return new
        stored = self.store.put(kind.resource, new)
        if is_terminating(stored) and not metadata(stored).get("finalizers") and kind is not NAMESPACES:
            return self._remove(kind, stored)
        self._aggregate(kind)
        return self.get(kind, namespace=namespace_of(old), name=name_of(old))

    def delete(self, kind: Kind, obj: Object, *, dry_run: bool = False) -> tuple[Object, bool]:
        """Delete, or begin to; returns the object, and whether it is gone. Raises a 403."""
        if kind is NAMESPACES and name_of(obj) in _UNDELETABLE:
            raise forbidden(kind.target(name_of(obj)), "this namespace may not be deleted")
        waits = kind is NAMESPACES or bool(metadata(obj).get("finalizers"))
        if dry_run:
            return obj, not waits
        if not waits:
            return self._remove(kind, obj), True
        if is_terminating(obj):
            return obj, False
        doomed = with_metadata(obj, deletionTimestamp=self._now())
        if kind is NAMESPACES:
            doomed["status"] = {"phase": "Terminating"}
        else:
            doomed = with_metadata(doomed, deletionGracePeriodSeconds=0)
        return self.store.put(kind.resource, doomed), False

    def finish_namespaces(self) -> None:
        """Empty every terminating namespace, and remove those that nothing holds any more."""
        for namespace in self.store.list(NAMESPACES.resource):
            if is_terminating(namespace):
                self._finish_namespace(namespace)

    def _finish_namespace(self, namespace: Object) -> None:
        name = name_of(namespace)
        for kind in STORED:
            if kind.namespaced:
                for obj in self.store.list(kind.resource, name):
                    self.delete(kind, obj)
        empty = not any(self.store.list(kind.resource, name) for kind in STORED if kind.namespaced)
        if not empty:
            return
        if namespace["spec"].get("finalizers"):
            namespace = self.store.put(NAMESPACES.resource, {**namespace, "spec": {}})
        if not metadata(namespace).get("finalizers"):
            self._remove(NAMESPACES, namespace)

    def _new_metadata(self, kind: Kind, obj: Object, *, namespace: str) -> Object:
        given = metadata(obj)
        if given.get("resourceVersion"):
            # An internal error there, too, although it is the caller's.
            raise ApiError(500, "", message="resourceVersion should not be set on objects to be created")
        if given.get("namespace", namespace) != namespace:
            raise namespace_mismatch()
        name = name_of(obj)
        if not name and (prefix := str(given.get("generateName", ""))):
            suffix = "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(5))
            name = prefix[:_GENERATED_LIMIT] + suffix
        fields: dict[str, str | None] = dict.fromkeys(_SYSTEM_FIELDS)
        fields |= {"namespace": namespace or None, "name": name or None}
        fields |= {"uid": str(uuid.uuid4()), "creationTimestamp": self._now()}
        content = {**obj, "apiVersion": kind.api_version, "kind": kind.kind}
        if kind is NAMESPACES:
            content = {key: value for key, value in content.items() if key not in ("spec", "status")}
        return with_metadata(content, **fields)

    def _require_namespace(self, kind: Kind, namespace: str, *, name: str) -> None:
        if not kind.namespaced:
            return
        if not namespace:
            raise method_not_allowed()
        found = self.store.get(NAMESPACES.resource, "", name=namespace)
        if found is None:
            raise not_found(NAMESPACES.target(namespace))
        if is_terminating(found):
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            message = f"namespace {namespace} is being terminated"
            cause = FieldProblem("metadata.namespace", "NamespaceTerminating", message)
            raise forbidden(kind.target(name), why, causes=[cause])

    def _add_default_account(self, namespace: str) -> None:
        account = self.prepare(SERVICE_ACCOUNTS, {"metadata": {"name": "default"}}, namespace=namespace)
        self.create(SERVICE_ACCOUNTS, account, namespace=namespace)

    def _remove(self, kind: Kind, obj: Object) -> Object:
        gone = self.store.remove(kind.resource, namespace_of(obj), name=name_of(obj))
        self._aggregate(kind)
        return gone

    def _aggregate(self, kind: Kind) -> None:
        if kind is CLUSTER_ROLES:
            aggregate_cluster_roles(self.store)

    def _now(self) -> str:
        return timestamp(self._clock())
