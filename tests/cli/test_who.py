"""``who`` and ``who-can``: what bindings give, and what the asker may see of it."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Run
from tests.cli.planes import ALICE, CAROL, TEAM, Plane


def test_who_holds_what_and_by_which_binding(run: Run, plane: Plane) -> None:
    result = run("who", "-n", TEAM, "--kubeconfig", plane.admin)
    assert result.status == 0
    rows = {line.split()[0]: line for line in result.out.splitlines()}
    assert rows["SUBJECT"].split() == ["SUBJECT", "LEVEL", "ON", "FROM"]
    assert rows["alice"].endswith("RoleBinding alice-edit to ClusterRole mlflow-edit")
    assert rows["alice"].split()[1:4] == ["edit", "the", "workspace"]
    assert rows["bob"].split()[1:] == [
        *("-", "some", "rights,", "less", "than", "a", "level"),
        *("RoleBinding", "bob-shared", "to", "Role", "shared"),
    ]
    assert "group:system:masters" in rows
    assert result.err == ""


def test_a_namespaces_admin_sees_their_namespace_and_is_told_what_may_be_missing(
    run: Run, plane: Plane
) -> None:
    arguments = ("-n", "team-c", "--kubeconfig", plane.server, "--token", CAROL)
    result = run("who", *arguments)
    (carol,) = [line for line in result.out.splitlines() if line.startswith("carol ")]
    assert carol.split()[1:4] == ["admin", "the", "workspace"]
    assert "RoleBinding carol-admin to ClusterRole admin, aggregated" in carol
    assert "cluster-wide bindings may add more" in result.err
    assert "you may not list clusterroles" in result.err
    document = run("who", *arguments, "-o", "json").json()
    assert (document["cluster_wide"], document["assumed_cluster_roles"]) == (False, True)
    (row,) = [row for row in document["holdings"] if row["subject"] == "carol"]
    assert row == {
        "subject": "carol",
        "kind": "User",
        "level": "admin",
        "on": "the workspace",
        "binding": {"name": "carol-admin", "namespace": "team-c"},
        "role": {"name": "admin", "namespace": ""},
        "managed": False,
    }


def test_who_may_not_list_bindings_learns_nothing(run: Run, plane: Plane) -> None:
    for command in (("who",), ("who-can", "get", "experiments")):
        result = run(*command, "-n", TEAM, "--kubeconfig", plane.server, "--token", ALICE)
        assert (result.status, result.out) == (2, "")
        assert 'User "alice" cannot list resource' in result.err


@pytest.mark.parametrize(
    ("question", "subjects"),
    [
        (("create", "experiments"), {"alice"}),
        (("get", "experiments"), {"alice", "bob"}),
        (("get", "experiments", "--name", "shared"), {"alice", "bob"}),
        (("get", "experiments", "--name", "other"), {"alice"}),
        (("create", "gatewayendpoints/use"), {"alice"}),
        (("update", "gatewaybudgets"), set()),
    ],
)
def test_who_may_do_one_thing(run: Run, plane: Plane, question: tuple[str, ...], subjects: set[str]) -> None:
    result = run("who-can", *question, "-n", TEAM, "--kubeconfig", plane.admin, "-o", "json")
    found = {row["subject"] for row in result.json()["holdings"]}
    assert found & {"alice", "bob", "mallory"} == subjects
    assert result.status == 0


def test_nobody(run: Run, plane: Plane) -> None:
    result = run(
        "who-can", "list", "experiments", "-n", "team-c", "--kubeconfig", plane.server, "--token", CAROL
    )
    assert (result.status, "carol" in result.out) == (0, True)
    arguments = ("who-can", "delete", "nonsense", "-n", TEAM, "--kubeconfig", plane.admin)
    assert "MLflow has no resource 'nonsense'" in run(*arguments).err
