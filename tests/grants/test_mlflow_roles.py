"""RBAC in MLflow's words: who has which role, from which bindings, within a bound."""

from __future__ import annotations

from typing import Any

import pytest

from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.authorizer.rbac.objects import RoleReader, read_binding
from workspace_authz.errors import BadRequestError
from workspace_authz.grants import mlflow_roles
from workspace_authz.grants.ids import number_of
from workspace_authz.grants.levels import Level, levels_in
from workspace_authz.grants.mlflow_roles import EVERYWHERE, MlflowRole, Overview, RoleKind
from workspace_authz.grants.objects import ObjectGrant, RoleRef, object_grant, role_grant
from workspace_authz.grants.subjects import Subject, group_subject, user_subject
from workspace_authz.kubernetes.listwatch_answers import object_key
from workspace_authz.roles.generate import cluster_roles
from workspace_authz.types import Resource

ALICE, DEVS = user_subject("alice"), group_subject("devs")
TRAINER = user_subject("system:serviceaccount:team-a:trainer")


class World:
    """An index that a test fills."""

    def __init__(self) -> None:
        self.index, self._read = RbacIndex(), RoleReader()
        for role in cluster_roles():
            self.put(role)

    def put(self, item: dict[str, Any]) -> None:
        key = object_key(item)
        if item["kind"].endswith("Binding"):
            self.index.put_binding(key, old=self.index.binding(key), new=read_binding(item))
        else:
            self.index.put_role(key, self._read(item))

    def overview(self, *namespaces: str, cluster_wide: bool = False) -> Overview:
        return Overview(self.index, namespaces or ("team-a",), cluster_wide=cluster_wide)


@pytest.fixture
def world() -> World:
    return World()


def by_hand(kind: str, name: str, *, role: str, subjects: list[Subject]) -> dict[str, Any]:
    namespace = {"namespace": "team-a"} if kind == "RoleBinding" else {}
    return {
        "kind": kind,
        "metadata": {"name": name, **namespace},
        "roleRef": {"kind": "ClusterRole", "name": role},
        "subjects": [subject.manifest for subject in subjects],
    }


def kinds(roles: list[MlflowRole]) -> set[tuple[str, str]]:
    return {(str(role.kind), role.name) for role in roles}


def test_shipped_roles_can_be_had_in_every_namespace(world: World) -> None:
    names = {"mlflow-view", "mlflow-edit", "mlflow-admin", "mlflow-integration"}
    roles = world.overview("team-a", "team-b").roles()
    assert {(role.workspace, role.name) for role in roles} == {
        (place, name) for place in ("team-a", "team-b") for name in names
    }
    assert len({role.number for role in roles}) == 8


def test_one_role_by_two_bindings_is_one_and_names_both(world: World) -> None:
    world.put(by_hand("RoleBinding", "one", role="mlflow-view", subjects=[ALICE, TRAINER]))
    world.put(by_hand("RoleBinding", "two", role="mlflow-view", subjects=[ALICE, DEVS]))
    users = world.overview().users()
    assert list(users) == sorted([ALICE, DEVS, TRAINER])
    (role,) = users[ALICE]
    assert role.description == (
        "RoleBinding one to ClusterRole mlflow-view; RoleBinding two to ClusterRole mlflow-view"
    )
    assert role.levels[Resource.EXPERIMENTS, ""] is Level.READ


def test_what_was_granted_on_single_objects_is_one_direct_role(world: World) -> None:
    for name in ("fraud", "churn"):
        grant = ObjectGrant(Resource.EXPERIMENTS, name, Level.EDIT)
        for item in object_grant(ALICE, "team-a", grant=grant):
            world.put(item)
    (role,) = world.overview().users()[ALICE]
    assert (role.kind, role.shown) == (RoleKind.DIRECT, f"__user_{number_of('user', 'alice')}__")
    assert {key: str(level) for key, level in role.levels.items()} == {
        (Resource.EXPERIMENTS, "fraud"): "EDIT",
        (Resource.EXPERIMENTS, "churn"): "EDIT",
    }
    # The Roles that were made for it are none that can be assigned.
    assert ("Role", "edit-experiments-fraud-alice") not in kinds(world.overview().roles())
    assert not any(role.kind is RoleKind.ROLE for role in world.overview().roles())


def test_cluster_wide_bindings_are_shown_to_who_may_list_them(world: World) -> None:
    world.put(by_hand("ClusterRoleBinding", "all", role="mlflow-admin", subjects=[DEVS]))
    assert world.overview().users() == {}
    (role,) = world.overview(cluster_wide=True).users()[DEVS]
    assert (role.workspace, role.shown) == (EVERYWHERE, "mlflow-admin (cluster-wide)")


def test_what_grants_nothing_in_mlflow_is_no_role(world: World) -> None:
    world.put(by_hand("RoleBinding", "one", role="system:node", subjects=[ALICE]))
    assert world.overview().users() == {}


def test_very_many_rights_are_too_many_for_one_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    view = world.index.role(("", "mlflow-view"))
    assert view is not None
    levels = len(levels_in(view.rules))  # of the one role
    monkeypatch.setattr(mlflow_roles, "MOST_HOLDINGS", 3 + levels)
    for number in range(3):
        world.put(role_grant(user_subject(f"user-{number}"), "team-a", role=RoleRef("mlflow-view")))
    assert len(world.overview().users()) == 3
    world.put(role_grant(ALICE, "team-a", role=RoleRef("mlflow-view")))
    for read in (world.overview().users, world.overview().roles):
        with pytest.raises(BadRequestError, match="workspace-authz who"):
            read()
