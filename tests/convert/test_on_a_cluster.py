"""What the converter prints, applied to a real API server: it answers as the old system did."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any, Final

import pytest
from mlflow.server.auth.permissions import NO_PERMISSIONS, GrantLoadKey, Permission
from mlflow.server.auth.requirements import fold_grants_for_key
from sqlalchemy import MetaData, Table, create_engine, insert

from tests.convert.conftest import ENDPOINT, EXPERIMENTS, Convert, Result, basic_auth_store
from tests.manifests.kube import Kubectl
from workspace_authz.cli.main import main
from workspace_authz.types import API_GROUP, Resource

NAMESPACE: Final = "from-basic-auth"
TEAM: Final = "ds-team-alpha"

OBJECTS: Final[Mapping[tuple[str, str], tuple[Resource, str]]] = {
    **{("experiment", key): (Resource.EXPERIMENTS, name) for key, name in EXPERIMENTS.items()},
    ("registered_model", "fraud-detector"): (Resource.REGISTERED_MODELS, "fraud-detector"),
    ("prompt", "greeting"): (Resource.REGISTERED_MODELS, "greeting"),
    ("gateway_endpoint", ENDPOINT[0]): (Resource.GATEWAY_ENDPOINTS, ENDPOINT[1]),
}
CAPABILITIES: Final = {"get": "can_read", "update": "can_update", "delete": "can_delete"}


def allowed(
    kubectl: Kubectl,
    namespace: str,
    question: tuple[str, str, str],
    *,
    user: str,
    groups: tuple[str, ...] = (),
) -> bool:
    """Asked by impersonation: verb, resource (with its subresource) and name."""
    verb, resource, name = question
    parent, _, subresource = resource.partition("/")
    attributes = {"namespace": namespace, "group": API_GROUP, "verb": verb, "resource": parent, "name": name}
    if subresource:
        attributes["subresource"] = subresource
    as_groups = [f"--as-group={group}" for group in ("system:authenticated", *groups)]
    spec = {"resourceAttributes": attributes}
    status = kubectl.create("SelfSubjectAccessReview", spec, "--validate=false", "--as", user, *as_groups)
    return bool(status["allowed"])


def applied(kubectl: Kubectl, namespace: str, result: Result) -> None:
    kubectl.run("create", "namespace", namespace)
    items = {"apiVersion": "v1", "kind": "List", "items": result.manifests}
    for _ in range(2):
        kubectl.run("apply", "--server-side", "--validate=strict", "-f", "-", stdin=items)
    assert kubectl.run("diff", "--server-side", "-f", "-", stdin=items) == ""


@pytest.fixture
def basic_auth(kubectl: Kubectl, databases: Callable[[str], str], mlflow: str, convert: Convert) -> Any:
    """MLflow's own store of a database of which the permissions were applied."""
    url = databases("basic-auth")
    store = basic_auth_store(url)
    store.create_experiment_permission("1", "alice", "MANAGE")
    store.create_experiment_permission("2", "alice", "READ")
    store.create_gateway_endpoint_permission(ENDPOINT[0], "alice", "USE")
    store.create_registered_model_permission("fraud-detector", "bob", "EDIT")
    store.create_experiment_permission("3", "bob", "DENY")
    role = store.create_role("Readers", "default")
    store.add_role_permission(role.id, "experiment", "*", "EDIT")
    store.add_role_permission(role.id, "prompt", "greeting", "READ")
    for user in ("alice", "bob"):
        store.assign_role_to_user(store.get_user(user).id, role.id)
    result = convert(
        *("basic-auth", url, "-n", NAMESPACE, "--backend-store-uri", mlflow),
        *("--default-permission", "NO_PERMISSIONS"),
    )
    applied(kubectl, NAMESPACE, result)
    return store


def test_basic_auths_answers_are_kubernetes_answers(basic_auth: Any, kubectl: Kubectl) -> None:
    differing = []
    for user, (kind, key) in product(("alice", "bob"), OBJECTS):
        grants = basic_auth.list_grants(basic_auth.get_user(user).id, "default", {kind})
        had: Permission = fold_grants_for_key(grants, GrantLoadKey(kind, key)) or NO_PERMISSIONS
        resource, name = OBJECTS[kind, key]
        for verb, capability in CAPABILITIES.items():
            if allowed(kubectl, NAMESPACE, (verb, resource, name), user=user) != getattr(had, capability):
                differing.append((user, kind, key, verb, had.name))
        if resource is Resource.GATEWAY_ENDPOINTS:
            used = allowed(kubectl, NAMESPACE, ("create", f"{resource}/use", name), user=user)
            if used != had.can_use:
                differing.append((user, kind, key, "use", had.name))
    assert differing == []
    assert allowed(kubectl, NAMESPACE, ("delete", Resource.EXPERIMENTS, ""), user="carol")


def test_what_was_converted_is_taken_back_by_the_usual_command(
    kubectl: Kubectl,
    databases: Callable[[str], str],
    mlflow: str,
    convert: Convert,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = databases("basic-auth")
    basic_auth_store(url).create_experiment_permission("1", "alice", "MANAGE")
    result = convert("basic-auth", url, "-n", "taken-back", "--backend-store-uri", mlflow)
    applied(kubectl, "taken-back", result)
    question = ("delete", Resource.EXPERIMENTS, "fraud")
    assert allowed(kubectl, "taken-back", question, user="alice")
    options = ["-n", "taken-back", "--kubeconfig", str(kubectl.kubeconfig)]
    assert main(["revoke", "alice", "--experiment", "fraud", *options]) == 0, capsys.readouterr().err
    assert not allowed(kubectl, "taken-back", question, user="alice")


GROUP: Final = "oidc:pk:ds-team-alpha"
ACCOUNT: Final = f"system:serviceaccount:{TEAM}:svc-ds-team-alpha"
ANSWERS: Final = [
    ("oidc:alice", (GROUP,), ("update", "experiments", "fraud"), True),
    ("oidc:alice", (), ("update", "experiments", "fraud"), False),
    ("oidc:alice", (GROUP,), ("delete", "experiments", "fraud"), False),
    ("oidc:alice", (GROUP,), ("get", "experiments", "churn"), False),
    ("oidc:alice", (), ("delete", "registeredmodels", "fraud-detector"), True),
    ("oidc:alice", (), ("create", "gatewayendpoints/use", "chat"), True),
    ("oidc:bob", (), ("get", "experiments", "vision"), True),
    ("oidc:bob", (), ("update", "experiments", "vision"), False),
    ("alice", (GROUP[5:],), ("update", "experiments", "fraud"), False),
    (ACCOUNT, (), ("update", "experiments", "fraud"), True),
    (ACCOUNT, (), ("delete", "experiments", "fraud"), False),
    ("oidc:carol", (), ("delete", "experiments", "churn"), True),
]
"""User, groups, question and mlflow-oidc-auth's answer: of their own permission, the group's, a pattern."""


@pytest.fixture
def oidc_auth(kubectl: Kubectl, databases: Callable[[str], str], mlflow: str, convert: Convert) -> Kubectl:
    url = databases("oidc-auth")
    engine, tables = create_engine(url), MetaData()
    rows: list[tuple[str, dict[str, Any]]] = [
        *(
            ("users", {"username": name, "display_name": name, **kind})
            for name, kind in (
                ("alice", {}),
                ("bob", {}),
                ("carol", {"is_admin": True}),
                ("svc-ds-team-alpha", {"is_service_account": True}),
            )
        ),
        ("groups", {"group_name": "pk:ds-team-alpha"}),
        ("user_groups", {"user_id": 1, "group_id": 1}),
        ("experiment_group_permissions", {"experiment_id": "1", "group_id": 1, "permission": "EDIT"}),
        ("experiment_permissions", {"experiment_id": "1", "user_id": 4, "permission": "EDIT"}),
        ("registered_model_permissions", {"name": "fraud-detector", "user_id": 1, "permission": "MANAGE"}),
        ("gateway_endpoint_permissions", {"endpoint_id": "chat", "user_id": 1, "permission": "USE"}),
        (
            "experiment_regex_permissions",
            {"regex": "vis", "priority": 1, "user_id": 2, "permission": "READ"},
        ),
    ]
    with engine.begin() as connection:
        for table, values in rows:
            connection.execute(insert(Table(table, tables, autoload_with=connection)).values(**values))
    engine.dispose()
    prefixes = ("--user-prefix", "oidc:", "--group-prefix", "oidc:")
    result = convert("oidc-auth", url, "-n", TEAM, "--backend-store-uri", mlflow, *prefixes)
    applied(kubectl, TEAM, result)
    return kubectl


def test_oidc_auths_answers_are_kubernetes_answers(oidc_auth: Kubectl) -> None:
    given = [
        (*asked, allowed(oidc_auth, TEAM, asked[2], user=asked[0], groups=asked[1]))
        for asked in (answer[:3] for answer in ANSWERS)
    ]
    assert given == ANSWERS
    accounts = oidc_auth.json("get", "serviceaccounts", "-n", TEAM)["items"]
    assert "svc-ds-team-alpha" in {each["metadata"]["name"] for each in accounts}


def test_the_command_needs_a_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "basic-auth", "sqlite:///none.db"]) == 2
    assert "--namespace --map is required" in json.dumps(capsys.readouterr().err)
