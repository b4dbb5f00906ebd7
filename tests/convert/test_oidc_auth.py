"""``workspace-authz convert oidc-auth`` on databases that mlflow-oidc-auth's migrations have made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, Table, create_engine, insert

from tests.convert.conftest import Convert, Result
from workspace_authz.grants.levels import Level
from workspace_authz.grants.objects import WORKSPACE_ROLES, ObjectGrant, object_grant, role_grant
from workspace_authz.grants.subjects import Subject, SubjectKind, group_subject, user_subject
from workspace_authz.types import Resource

USERS = {"alice": 1, "bob": 2, "carol": 3, "svc-ds-team-alpha": 4}
GROUPS = {"pk:ds-team-alpha": 1, "mlflow-users": 2}


@dataclass(frozen=True, slots=True)
class Database:
    """A permission database with four users and two groups."""

    url: str

    def add(self, table: str, **values: Any) -> None:
        """One row."""
        engine = create_engine(self.url)
        with engine.begin() as connection:
            connection.execute(insert(Table(table, MetaData(), autoload_with=connection)).values(**values))
        engine.dispose()


@pytest.fixture
def database(databases: Callable[[str], str]) -> Database:
    database = Database(databases("oidc-auth"))
    for name, number in USERS.items():
        account = name.startswith("svc-")
        database.add(
            "users",
            id=number,
            username=name,
            display_name=name,
            is_admin=name == "carol",
            is_service_account=account,
        )
    for name, number in GROUPS.items():
        database.add("groups", id=number, group_name=name)
    for user in ("alice", "bob"):
        database.add("user_groups", user_id=USERS[user], group_id=1)
    return database


@pytest.fixture
def converted(database: Database, mlflow: str, convert: Convert) -> Callable[..., Result]:
    def converted(*arguments: str | Path) -> Result:
        place = [] if "--map" in arguments else ["-n", "ds-team-alpha"]
        return convert("oidc-auth", database.url, "--backend-store-uri", mlflow, *place, *arguments)

    return converted


def granted(subject: Subject, resource: Resource, name: str, *, level: Level) -> list[dict[str, Any]]:
    return list(object_grant(subject, "ds-team-alpha", grant=ObjectGrant(resource, name, level)))


def test_the_seeds_team_is_set_up_as_before(database: Database, converted: Callable[..., Result]) -> None:
    """prokube's example: one experiment for a group, and for the team's service account."""
    database.add("experiment_group_permissions", experiment_id="1", group_id=1, permission="EDIT")
    database.add("experiment_permissions", experiment_id="1", user_id=4, permission="EDIT")
    result = converted("--group-prefix", "kc:")
    account = Subject(SubjectKind.SERVICE_ACCOUNT, "svc-ds-team-alpha", "ds-team-alpha")
    wanted = [
        *granted(group_subject("kc:pk:ds-team-alpha"), Resource.EXPERIMENTS, "fraud", level=Level.EDIT),
        *granted(account, Resource.EXPERIMENTS, "fraud", level=Level.EDIT),
        role_grant(user_subject("carol"), "ds-team-alpha", role=WORKSPACE_ROLES["admin"]),
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "svc-ds-team-alpha", "namespace": "ds-team-alpha"},
        },
    ]
    assert all(each in wanted for each in result.manifests)
    assert len(result.manifests) == len(wanted)
    assert "alice is in pk:ds-team-alpha" in result.report


def test_a_key_is_reported_with_what_takes_its_place(
    database: Database, converted: Callable[..., Result]
) -> None:
    until = datetime(2027, 1, 1)
    database.add("user_tokens", user_id=1, name="laptop", token_hash="x", created_at=until, expires_at=until)
    report = converted().report
    assert "`workspace-authz keys create`" in report
    assert "user_tokens 1: alice: laptop, until 2027-01-01" in report


@pytest.mark.parametrize("permission", ["NO_PERMISSIONS", "READ"])
def test_less_for_one_member_than_for_the_group_is_reported(
    database: Database, converted: Callable[..., Result], permission: str
) -> None:
    database.add("experiment_group_permissions", experiment_id="1", group_id=1, permission="EDIT")
    database.add("experiment_permissions", experiment_id="1", user_id=2, permission=permission)
    report = converted().report
    was = "nothing" if permission == "NO_PERMISSIONS" else "READ"
    assert (
        f"bob had {was} on experiments/fraud in ds-team-alpha, and has EDIT by their group pk:ds-team-alpha"
        in report
    )
    assert "alice had" not in report


def test_a_denial_over_nothing_is_kept_by_leaving_out(
    database: Database, converted: Callable[..., Result]
) -> None:
    database.add("experiment_permissions", experiment_id="1", user_id=2, permission="NO_PERMISSIONS")
    result = converted()
    assert "MORE" not in result.report
    assert not any("bob" in name for name in result.names)


def test_a_pattern_becomes_the_names_of_today(database: Database, converted: Callable[..., Result]) -> None:
    rows = ((".*", 10, "EDIT", 1), ("fra", 1, "READ", 1), ("^churn$", 1, "NO_PERMISSIONS", 1))
    for regex, priority, permission, number in rows:
        database.add(
            "experiment_group_regex_permissions",
            regex=regex,
            priority=priority,
            permission=permission,
            group_id=number,
        )
    database.add(
        "registered_model_regex_permissions",
        regex="greet",
        priority=1,
        permission="MANAGE",
        user_id=1,
        prompt=True,
    )
    result = converted()
    group = group_subject("pk:ds-team-alpha")
    wanted = [
        *granted(group, Resource.EXPERIMENTS, "fraud", level=Level.READ),
        *granted(group, Resource.EXPERIMENTS, "vision", level=Level.EDIT),
        *granted(user_subject("alice"), Resource.REGISTERED_MODELS, "greeting", level=Level.MANAGE),
    ]
    made = [each for each in result.manifests if each["metadata"]["name"].partition("-")[0] != "mlflow"]
    assert all(each in wanted for each in made)
    assert len(made) == len(wanted)
    assert "RBAC has no regular expressions" in result.report


def test_what_rbac_does_not_know_is_reported(database: Database, converted: Callable[..., Result]) -> None:
    scorer = {"experiment_id": "1", "scorer_name": "safety"}
    database.add("scorer_permissions", user_id=1, permission="MANAGE", **scorer)
    database.add("scorer_group_permissions", group_id=1, permission="NO_PERMISSIONS", **scorer)
    database.add("experiment_permissions", experiment_id="77", user_id=1, permission="READ")
    database.add("experiment_permissions", experiment_id="1", user_id=1, permission="SUPER")
    report = converted().report
    more, _, others = report.partition("NOT WRITTEN")
    assert "pk:ds-team-alpha: NO_PERMISSIONS on scorer 1/safety" in more
    assert "alice: MANAGE on scorer 1/safety" in others
    assert "there is no such object" in others
    assert "it names no level that is known" in others


def test_workspaces_are_namespaces_if_there_were_any(
    database: Database, converted: Callable[..., Result]
) -> None:
    database.add("workspace_group_permissions", workspace="team-b", group_id=1, permission="MANAGE")
    database.add("workspace_group_permissions", workspace="team-c", group_id=1, permission="EDIT")
    database.add("workspace_permissions", workspace="team-b", user_id=1, permission="READ")
    off = converted()
    assert off.report.count("--workspaces says that it had") == 1
    assert not any(
        "team-" in each["metadata"]["namespace"] for each in off.manifests if each["kind"] == "Role"
    )
    result = converted("--workspaces")
    group = group_subject("pk:ds-team-alpha")
    for namespace, level in (("team-b", "admin"), ("team-c", "integration")):
        assert role_grant(group, namespace, role=WORKSPACE_ROLES[level]) in result.manifests
    assert "alice had READ on the namespace team-b, and has MANAGE by their group" in result.report


def test_who_was_switched_off_gets_nothing(database: Database, converted: Callable[..., Result]) -> None:
    database.add("users", id=9, username="dave", display_name="dave", is_admin=True, active=False)
    database.add("experiment_permissions", experiment_id="1", user_id=9, permission="MANAGE")
    result = converted()
    assert not any("dave" in name for name in result.names)
    assert result.report.count("the user was switched off") == 1


def test_accounts_need_a_namespace_and_a_name(
    database: Database, converted: Callable[..., Result], tmp_path: Path
) -> None:
    database.add("users", id=9, username="SVC ds.team@alpha", display_name="", is_service_account=True)
    for user in (4, 9):
        database.add("experiment_permissions", experiment_id="1", user_id=user, permission="READ")
    (tmp_path / "map").write_text("* team-a\n")
    assert "a service account needs a namespace" in converted("--map", tmp_path / "map").report
    shared = converted()
    assert "or two would have the same" in shared.report
    assert not any(name.startswith("ServiceAccount") for name in shared.names)
