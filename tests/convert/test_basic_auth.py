"""``workspace-authz convert basic-auth`` on databases that MLflow's own store has written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import create_engine, text

from tests.convert.conftest import Convert, basic_auth_store
from workspace_authz.convert.basic_auth import read_basic_auth
from workspace_authz.errors import ConfigurationError
from workspace_authz.grants.levels import Level
from workspace_authz.grants.objects import WORKSPACE_ROLES, ObjectGrant, RoleRef, object_grant, role_grant
from workspace_authz.grants.subjects import user_subject
from workspace_authz.types import Resource

PASSWORD = "a-password-of-many-characters"


@pytest.fixture
def url(databases: Callable[[str], str]) -> str:
    return databases("basic-auth")


@pytest.fixture
def store(url: str) -> SqlAlchemyStore:
    """MLflow's own, with three users: carol is an administrator."""
    return basic_auth_store(url)


def role(
    store: SqlAlchemyStore, name: str, *permissions: tuple[str, str, str], users: tuple[str, ...]
) -> None:
    made = store.create_role(name, "default", "what they do")
    for permission in permissions:
        store.add_role_permission(made.id, *permission)
    for user in users:
        store.assign_role_to_user(store.get_user(user).id, made.id)


def test_what_was_granted_to_one_user_is_written_as_our_own_pages_write_it(
    store: SqlAlchemyStore, url: str, mlflow: str, convert: Convert
) -> None:
    store.create_experiment_permission("1", "alice", "MANAGE")
    store.create_gateway_endpoint_permission("ep-1", "bob", "USE")
    store.create_registered_model_permission("fraud-detector", "bob", "EDIT")
    result = convert("basic-auth", url, "-n", "team-a", "--backend-store-uri", mlflow)
    wanted = [
        *object_grant(
            user_subject("alice"), "team-a", grant=ObjectGrant(Resource.EXPERIMENTS, "fraud", Level.MANAGE)
        ),
        *object_grant(
            user_subject("bob"), "team-a", grant=ObjectGrant(Resource.GATEWAY_ENDPOINTS, "chat", Level.USE)
        ),
        *object_grant(
            user_subject("bob"),
            "team-a",
            grant=ObjectGrant(Resource.REGISTERED_MODELS, "fraud-detector", Level.EDIT),
        ),
    ]
    assert [each for each in wanted if each not in result.manifests] == []


def test_a_role_keeps_its_name_and_its_users(
    store: SqlAlchemyStore, url: str, mlflow: str, convert: Convert
) -> None:
    role(
        store, "Readers of all", ("experiment", "*", "READ"), ("mcp_server", "tools", "EDIT"), users=("bob",)
    )
    result = convert("basic-auth", url, "-n", "team-a", "--backend-store-uri", mlflow)
    (made,) = [each for each in result.manifests if each["metadata"]["name"] == "Readers of all"]
    assert made["metadata"]["annotations"] == {"kubernetes.io/description": "what they do"}
    assert [(rule["resources"], rule.get("resourceNames"), rule["verbs"]) for rule in made["rules"]] == [
        (["experiments"], None, ["get", "list"]),
        (["mcpservers"], ["tools"], ["get", "list", "update"]),
    ]
    wanted = role_grant(user_subject("bob"), "team-a", role=RoleRef("Readers of all", "Role"))
    assert wanted in result.manifests


def test_administrators_and_everybody(store: SqlAlchemyStore, url: str, convert: Convert) -> None:
    result = convert("basic-auth", url, "-n", "team-a", "--user-prefix", "oidc:")
    view, admin = (WORKSPACE_ROLES[level] for level in ("view", "admin"))
    assert result.manifests == sorted(
        [
            role_grant(user_subject("oidc:alice"), "team-a", role=view),
            role_grant(user_subject("oidc:bob"), "team-a", role=view),
            role_grant(user_subject("oidc:carol"), "team-a", role=admin),
        ],
        key=lambda each: str(each["metadata"]["name"]),
    )
    nothing = convert("basic-auth", url, "-n", "team-a", "--default-permission", "NO_PERMISSIONS")
    assert len(nothing.manifests) == 1
    group = convert("basic-auth", url, "-n", "team-a", "--everybody", "group:staff", "--members", "edit")
    assert [each["subjects"][0]["name"] for each in group.manifests] == ["carol", "staff"]
    assert group.manifests[1]["roleRef"]["name"] == "mlflow-edit"


def test_a_denial_is_kept_by_giving_what_is_around_it_singly(
    store: SqlAlchemyStore, url: str, mlflow: str, convert: Convert
) -> None:
    role(store, "readers", ("experiment", "*", "READ"), users=("alice", "bob"))
    store.create_experiment_permission("2", "bob", "DENY")
    result = convert("basic-auth", url, "-n", "team-a", "--backend-store-uri", mlflow)
    of_bob = [
        each["metadata"]["annotations"]["mlflow.kubeflow.org/object"]
        for each in result.manifests
        if each["kind"] == "RoleBinding" and each["subjects"][0]["name"] == "bob"
    ]
    assert of_bob == ["experiments/fraud", "experiments/vision"]
    assert "RBAC cannot leave out what is denied" in result.report
    without = convert("basic-auth", url, "-n", "team-a")
    assert not any("bob" in str(each.get("subjects")) for each in without.manifests)
    everybody = convert("basic-auth", url, "-n", "team-a", "--everybody", "group:staff")
    assert "SOMEBODY MAY DO MORE THAN BEFORE\n- group:staff gets view" in everybody.report
    assert "bob: DENY on experiment 2" in everybody.report


def test_models_and_prompts_are_one_resource(
    store: SqlAlchemyStore, url: str, mlflow: str, convert: Convert
) -> None:
    role(store, "prompters", ("prompt", "*", "EDIT"), ("prompt", "fraud-detector", "READ"), users=("bob",))
    role(store, "both", ("prompt", "*", "READ"), ("registered_model", "*", "READ"), users=("alice",))
    result = convert("basic-auth", url, "-n", "team-a", "--backend-store-uri", mlflow)
    rules = {each["metadata"]["name"]: each["rules"] for each in result.manifests if each["kind"] == "Role"}
    assert [rule["resourceNames"] for rule in rules["prompters"]] == [["greeting", "summary"]]
    assert [rule.get("resourceNames") for rule in rules["both"]] == [None]
    assert "it is a model, for which permissions on prompts did not count" in result.report


def test_a_map_divides_one_role_among_namespaces(
    store: SqlAlchemyStore, url: str, mlflow: str, convert: Convert, tmp_path: Path
) -> None:
    role(
        store,
        "crew",
        ("experiment", "1", "EDIT"),
        ("experiment", "2", "EDIT"),
        ("experiment", "3", "EDIT"),
        users=("bob",),
    )
    (tmp_path / "map").write_text("# teams\nexperiments/fraud team-a\nexperiments/ch* team-b\n")
    result = convert("basic-auth", url, "--map", tmp_path / "map", "--backend-store-uri", mlflow)
    named = {
        each["metadata"]["namespace"]: each["rules"][0]["resourceNames"]
        for each in result.manifests
        if each["kind"] == "Role"
    }
    assert named == {"team-a": ["fraud"], "team-b": ["churn"]}
    assert "no line of the map says to which namespace it goes" in result.report
    assert "EDIT on experiment 3" in result.report


@pytest.mark.parametrize("name", ["system:masters", "system:serviceaccount:kube-system:default", "a\nb"])
def test_a_name_of_kubernetes_own_is_given_nothing(
    store: SqlAlchemyStore, url: str, convert: Convert, name: str
) -> None:
    store.create_user(name, PASSWORD, is_admin=True)
    result = convert("basic-auth", url, "-n", "team-a")
    assert {each["subjects"][0]["name"] for each in result.manifests} == {"alice", "bob", "carol"}
    assert f"users 4: {name.encode('unicode_escape').decode()}, administrator\n" in result.report


@pytest.mark.parametrize("name", ["", "*", "fraud-*", "a\tb", "x" * 501])
def test_a_name_that_would_mean_more_than_one_object_is_not_written(
    store: SqlAlchemyStore, url: str, convert: Convert, name: str
) -> None:
    made = store.create_role("odd", "default")
    with create_engine(url).begin() as connection:
        row = {"role": made.id, "name": name}
        statement = (
            "INSERT INTO role_permissions (role_id, resource_type, resource_pattern, permission) "
            "VALUES (:role, 'mcp_server', :name, 'MANAGE')"
        )
        connection.execute(text(statement), row)
    result = convert("basic-auth", url, "-n", "team-a")
    rules = [rule for each in result.manifests for rule in each.get("rules", ())]
    if name == "*":
        assert [rule.get("resourceNames") for rule in rules] == [None]  # that is what the old system meant
    else:
        assert rules == []


def test_workspaces_become_the_namespaces_of_their_names(
    store: SqlAlchemyStore, url: str, convert: Convert
) -> None:
    made = store.create_role("leads", "team-b")
    store.add_role_permission(made.id, "workspace", "*", "MANAGE")
    store.assign_role_to_user(store.get_user("bob").id, made.id)
    off = convert("basic-auth", url, "-n", "team-a", "--default-permission", "NO_PERMISSIONS")
    assert "--workspaces says that it had" in off.report
    result = convert("basic-auth", url, "-n", "team-a", "--workspaces")
    assert role_grant(user_subject("bob"), "team-b", role=WORKSPACE_ROLES["admin"]) in result.manifests


def test_what_is_no_such_database_is_refused_without_its_address(url: str, mlflow: str) -> None:
    with pytest.raises(ConfigurationError, match="lacks users"):
        read_basic_auth(mlflow)
    with pytest.raises(ConfigurationError, match="cannot be read") as raised:
        read_basic_auth("postgresql+nothing://me:hunter2@host/db")
    assert "hunter2" not in str(raised.value)


def test_a_database_of_another_program_is_refused_in_a_sentence(tmp_path: Path) -> None:
    """Given its users, who have no number, as those of many programs."""
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("CREATE TABLE users (id TEXT, name TEXT)")
        other.execute("INSERT INTO users VALUES ('7f3c', 'alice')")
    with pytest.raises(ConfigurationError, match="lacks roles"):
        read_basic_auth(f"sqlite:///{file}")


def test_a_file_that_is_not_there_is_not_made(url: str, convert: Convert, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.db"
    for arguments in ((f"sqlite:///{wrong}",), (url, "--backend-store-uri", f"sqlite:///{wrong}")):
        result = convert("basic-auth", *arguments, "-n", "team-a")
        assert (result.status, result.out) == (2, "")
        assert f"There is no database {wrong}." in result.report
    assert not wrong.exists()
