"""What happens to objects on their way into the store, and what follows from it."""

from __future__ import annotations

from typing import Any

import pytest

from workspace_authz.devplane.embedded.kinds import (
    CLUSTER_ROLES,
    NAMESPACES,
    ROLE_BINDINGS,
    SECRETS,
    SERVICE_ACCOUNTS,
    Kind,
)
from workspace_authz.devplane.embedded.objects import Object, metadata, version_of
from workspace_authz.devplane.embedded.registry import Registry
from workspace_authz.devplane.embedded.status import ApiError

RULE = {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}


def create(registry: Registry, kind: Kind, name: str, namespace: str = "", **content: Any) -> Object:
    fields = {"name": name, **content.pop("metadata", {})}
    new = registry.prepare(kind, {"metadata": fields, **content}, namespace=namespace)
    return registry.create(kind, new, namespace=namespace)


def update(registry: Registry, kind: Kind, old: Object, **content: Any) -> Object:
    new = registry.prepare_update(kind, {**old, **content}, old=old)
    return registry.update(kind, new, old=old)


def exists(registry: Registry, kind: Kind, name: str, namespace: str = "") -> bool:
    return registry.store.get(kind.resource, namespace, name=name) is not None


def test_a_namespace_is_labelled_and_gets_an_account(registry: Registry) -> None:
    namespace = create(registry, NAMESPACES, "a")
    assert metadata(namespace)["labels"] == {"kubernetes.io/metadata.name": "a"}
    assert namespace["status"] == {"phase": "Active"}
    assert exists(registry, SERVICE_ACCOUNTS, "default", "a")


def test_a_name_is_made_up_when_asked_for(registry: Registry) -> None:
    create(registry, NAMESPACES, "a")
    made = [create(registry, SECRETS, "", "a", metadata={"generateName": "s-"}) for _ in range(2)]
    names = {metadata(obj)["name"] for obj in made}
    assert len(names) == 2
    assert all(name.startswith("s-") and len(name) == 7 for name in names)


def test_a_missing_namespace(registry: Registry) -> None:
    with pytest.raises(ApiError, match='namespaces "a" not found') as caught:
        create(registry, SECRETS, "s", "a")
    assert caught.value.code == 404


def test_an_update_of_an_old_version_conflicts(registry: Registry) -> None:
    first = create(registry, CLUSTER_ROLES, "r")
    second = update(registry, CLUSTER_ROLES, first, rules=[RULE])
    with pytest.raises(ApiError, match="the object has been modified") as caught:
        registry.prepare_update(CLUSTER_ROLES, first, old=second)
    assert (caught.value.code, caught.value.reason) == (409, "Conflict")


def test_an_update_without_a_change_is_none(registry: Registry) -> None:
    first = create(registry, CLUSTER_ROLES, "r", rules=[RULE])
    before = registry.store.version
    assert version_of(update(registry, CLUSTER_ROLES, first)) == version_of(first)
    assert registry.store.version == before


def test_an_update_cannot_touch_what_the_server_decides(registry: Registry) -> None:
    old = create(registry, NAMESPACES, "a")
    changes = {"creationTimestamp": "2000-01-01T00:00:00Z", "deletionTimestamp": "2000-01-01T00:00:00Z"}
    new = update(
        registry,
        NAMESPACES,
        old,
        metadata={**metadata(old), **changes, "labels": {}},
        status={"phase": "Terminating"},
        spec={},
    )
    assert new == old


def test_a_finalizer_holds_an_object(registry: Registry) -> None:
    role = create(registry, CLUSTER_ROLES, "r", metadata={"finalizers": ["a.test/b"]})
    doomed, gone = registry.delete(CLUSTER_ROLES, role)
    assert not gone
    assert metadata(doomed)["deletionTimestamp"]
    again, _ = registry.delete(CLUSTER_ROLES, doomed)
    assert again == doomed
    update(registry, CLUSTER_ROLES, doomed, metadata={**metadata(doomed), "finalizers": []})
    assert not exists(registry, CLUSTER_ROLES, "r")


def test_a_deleted_namespace_terminates_and_takes_its_contents(registry: Registry) -> None:
    namespace = create(registry, NAMESPACES, "a")
    create(registry, SECRETS, "s", "a")
    create(registry, NAMESPACES, "b")
    doomed, gone = registry.delete(NAMESPACES, namespace)
    assert not gone
    assert doomed["status"] == {"phase": "Terminating"}
    with pytest.raises(ApiError, match="because it is being terminated") as caught:
        create(registry, SECRETS, "late", "a")
    assert caught.value.code == 403
    registry.finish_namespaces()
    assert not exists(registry, NAMESPACES, "a")
    assert not exists(registry, SECRETS, "s", "a")
    assert exists(registry, NAMESPACES, "b")


@pytest.mark.parametrize("inside", [True, False], ids=["contents", "itself"])
def test_a_namespace_stays_while_something_holds_it(registry: Registry, inside: bool) -> None:
    unfinished = {"finalizers": ["a.test/b"]}
    namespace = create(registry, NAMESPACES, "a", metadata={} if inside else unfinished)
    if inside:
        create(registry, SECRETS, "s", "a", metadata=unfinished)
    registry.delete(NAMESPACES, namespace)
    registry.finish_namespaces()
    before = registry.store.version
    registry.finish_namespaces()
    assert registry.store.version == before
    kind, name, scope = (SECRETS, "s", "a") if inside else (NAMESPACES, "a", "")
    holder = registry.get(kind, namespace=scope, name=name)
    update(registry, kind, holder, metadata={**metadata(holder), "finalizers": []})
    registry.finish_namespaces()
    assert not exists(registry, NAMESPACES, "a")


def test_a_dry_run_stores_nothing(registry: Registry) -> None:
    role = create(registry, CLUSTER_ROLES, "r")
    version = registry.store.version
    new = registry.prepare(CLUSTER_ROLES, {"metadata": {"name": "dry"}}, namespace="")
    registry.create(CLUSTER_ROLES, new, namespace="", dry_run=True)
    changed = registry.prepare_update(CLUSTER_ROLES, {**role, "rules": [RULE]}, old=role)
    registry.update(CLUSTER_ROLES, changed, old=role, dry_run=True)
    registry.delete(CLUSTER_ROLES, role, dry_run=True)
    assert registry.store.version == version


def test_a_binding_keeps_its_role(registry: Registry) -> None:
    create(registry, NAMESPACES, "a")
    role = {"kind": "ClusterRole", "name": "view"}
    binding = create(registry, ROLE_BINDINGS, "b", "a", roleRef=role)
    with pytest.raises(ApiError, match="cannot change roleRef") as caught:
        registry.prepare_update(ROLE_BINDINGS, {**binding, "roleRef": {**role, "name": "edit"}}, old=binding)
    assert caught.value.code == 422
