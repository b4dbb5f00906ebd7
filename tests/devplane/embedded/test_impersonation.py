"""Acting as somebody else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from workspace_authz.devplane.embedded.impersonation import Impersonator
from workspace_authz.devplane.embedded.kinds import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES
from workspace_authz.devplane.embedded.policy import AccessAttributes
from workspace_authz.devplane.embedded.rbac import RbacAuthorizer
from workspace_authz.devplane.embedded.reader import StoreReader
from workspace_authz.devplane.embedded.registry import Registry
from workspace_authz.devplane.embedded.status import ApiError
from workspace_authz.types import UserInfo

ALICE = UserInfo("alice", groups=("system:authenticated",))
ROOT = UserInfo("root", groups=("system:masters",))
ASKED = AccessAttributes("list", resource="secrets", namespace="team-a")
AUTHENTICATION = "authentication.k8s.io"


def headers(user: str = "", *groups: str, **others: str) -> CIMultiDictProxy[str]:
    named = [("Impersonate-User", user)] if user else []
    several = [("Impersonate-Group", group) for group in groups]
    more = [(f"Impersonate-{key.replace('_', '-')}", value) for key, value in others.items()]
    return CIMultiDictProxy(CIMultiDict([*named, *several, *more]))


def grant(registry: Registry, *rules: Mapping[str, Any]) -> Impersonator:
    """Alice holds these rules everywhere."""
    role = registry.prepare(CLUSTER_ROLES, {"metadata": {"name": "r"}, "rules": list(rules)}, namespace="")
    registry.create(CLUSTER_ROLES, role, namespace="")
    content = {
        "metadata": {"name": "b"},
        "roleRef": {"kind": "ClusterRole", "name": "r"},
        "subjects": [{"kind": "User", "name": "alice"}],
    }
    binding = registry.prepare(CLUSTER_ROLE_BINDINGS, content, namespace="")
    registry.create(CLUSTER_ROLE_BINDINGS, binding, namespace="")
    return Impersonator(RbacAuthorizer(StoreReader(registry.store)))


def rule(verb: str, group: str, *resources: str, names: tuple[str, ...] = ()) -> Mapping[str, Any]:
    return {"verbs": [verb], "apiGroups": [group], "resources": list(resources), "resourceNames": list(names)}


def test_without_headers_one_is_oneself(registry: Registry) -> None:
    assert grant(registry).effective_user(ALICE, headers(), ASKED) == ALICE


def test_a_superuser_may_be_anybody_with_the_groups_that_come_with_it(registry: Registry) -> None:
    impersonator = grant(registry)
    account = impersonator.effective_user(ROOT, headers("system:serviceaccount:a:robot"), ASKED)
    assert account.groups == (
        "system:serviceaccounts",
        "system:serviceaccounts:a",
        "system:authenticated",
    )
    node = impersonator.effective_user(ROOT, headers("system:node:n"), ASKED)
    assert node.groups == ("system:nodes", "system:authenticated")
    nobody = impersonator.effective_user(ROOT, headers("system:anonymous"), ASKED)
    assert nobody.groups == ("system:unauthenticated",)
    wanted = headers("bob", "g", Uid="u", Extra_Some_Key="v")
    assert impersonator.effective_user(ROOT, wanted, ASKED) == UserInfo(
        "bob", "u", ("g", "system:authenticated"), (("some-key", ("v",)),)
    )


@pytest.mark.parametrize(
    "wanted",
    [
        headers("bob"),
        headers("carol"),
        headers("bob", "g"),
        headers("bob", Uid="u"),
        headers("bob", Extra_K="v"),
    ],
)
def test_every_part_needs_its_right(registry: Registry, wanted: CIMultiDictProxy[str]) -> None:
    rights: list[Mapping[str, Any]] = [rule("impersonate", "", "users", names=("bob",))]
    if len(wanted) == 1 and wanted["Impersonate-User"] == "bob":
        rights = []
    with pytest.raises(ApiError) as caught:
        grant(registry, *rights).effective_user(ALICE, wanted, ASKED)
    assert caught.value.code == 403


def test_the_rights_without_bounds(registry: Registry) -> None:
    impersonator = grant(
        registry,
        rule("impersonate", "", "users", "groups", "serviceaccounts"),
        rule("impersonate", AUTHENTICATION, "uids", "userextras/k"),
    )
    assert impersonator.effective_user(ALICE, headers("bob", "system:masters", Uid="u", Extra_K="v"), ASKED)
    assert impersonator.effective_user(ALICE, headers("system:serviceaccount:a:robot"), ASKED)
    with pytest.raises(ApiError):
        impersonator.effective_user(ALICE, headers("bob", Extra_Other="v"), ASKED)


def test_the_constrained_rights(registry: Registry) -> None:
    impersonator = grant(
        registry,
        rule("impersonate:user-info", AUTHENTICATION, "users", "groups"),
        rule("impersonate-on:user-info:list", "", "secrets"),
    )
    assert impersonator.effective_user(ALICE, headers("bob", "g"), ASKED).username == "bob"
    for wanted, asked in (
        (headers("bob"), AccessAttributes("get", resource="secrets", namespace="team-a")),
        (headers("bob", "system:masters"), ASKED),
        (headers("system:serviceaccount:a:robot"), ASKED),
        (headers("system:node:n"), ASKED),
    ):
        with pytest.raises(ApiError):
            impersonator.effective_user(ALICE, wanted, asked)


def test_the_way_that_worked_last_is_the_one_that_refuses(registry: Registry) -> None:
    impersonator = grant(registry, rule("impersonate", "", "users", names=("bob",)))
    with pytest.raises(ApiError, match="cannot impersonate-on:user-info:list"):
        impersonator.effective_user(ALICE, headers("carol"), ASKED)
    impersonator.effective_user(ALICE, headers("bob"), ASKED)
    with pytest.raises(ApiError, match='cannot impersonate resource "users"'):
        impersonator.effective_user(ALICE, headers("carol"), ASKED)


def test_groups_without_a_user(registry: Registry) -> None:
    with pytest.raises(ApiError, match="without impersonating a user name") as caught:
        grant(registry).effective_user(ALICE, headers("", "g"), ASKED)
    assert caught.value.code == 400
