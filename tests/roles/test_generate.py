"""ClusterRoles as objects, and what the catalog has to do with them."""

from __future__ import annotations

from typing import Any

import pytest

from workspace_authz.catalog.model import Authenticated, Guarded, Public, Refused, Requirement, Route
from workspace_authz.catalog.routes import all_routes
from workspace_authz.roles.generate import cluster_roles, deletions, required_rights
from workspace_authz.roles.policy import ADMIN, ROLES, Right
from workspace_authz.types import API_GROUP, USE, Resource, Verb

AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"

# Rights that a role gives although no route of MLflow 3.17 demands them: they complete a set of verbs, so
# that a later MLflow that does demand them finds them given.
NOT_YET_DEMANDED = {"update gatewayguardrails", "list assistants", "delete assistants"}


def role(name: str) -> dict[str, Any]:
    (found,) = (role for role in cluster_roles() if role["metadata"]["name"] == name)
    return found


def guarded(operation: str, *requirements: Requirement, method: str = "POST") -> Route:
    return Route(method, f"/{operation}", operation, Guarded(requirements))


def test_rules_say_exactly_the_rights_of_the_policy() -> None:
    for policy in ROLES:
        said = [
            (resource, verb)
            for rule in role(policy.name)["rules"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        ]
        assert len(said) == len(set(said)), "a right is said twice"
        assert set(said) == {
            (f"{right.resource}/{right.subresource}".rstrip("/"), right.verb) for right in policy.rights
        }


def test_rules_of_the_policy_speak_of_our_group_only() -> None:
    for policy in ROLES:
        assert all(rule["apiGroups"] == [API_GROUP] for rule in role(policy.name)["rules"])


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("mlflow-view", {f"{AGGREGATE}view": "true"}),
        ("mlflow-edit", {f"{AGGREGATE}edit": "true"}),
        ("mlflow-admin", {f"{AGGREGATE}admin": "true"}),
        ("mlflow-integration", {}),
        ("mlflow-server", {}),
        ("mlflow-server-reviews", {}),
    ],
)
def test_only_the_three_aggregate(name: str, labels: dict[str, str]) -> None:
    assert role(name)["metadata"].get("labels", {}) == labels


def test_server_may_follow_namespaces_and_rbac_and_nothing_else() -> None:
    follow = ["list", "watch"]
    rbac = ["roles", "rolebindings", "clusterroles", "clusterrolebindings"]
    assert role("mlflow-server")["rules"] == [
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", *follow]},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": rbac, "verbs": follow},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "verbs": ["get"]},
    ]


def test_the_right_to_review_others_is_a_role_of_its_own() -> None:
    assert role("mlflow-server-reviews")["rules"] == [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
        {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
    ]


def test_no_rule_uses_a_wildcard() -> None:
    assert "*" not in str(cluster_roles())


def test_an_admin_may_use_every_guarded_route() -> None:
    assert required_rights(all_routes(assistant=True)) <= ADMIN.rights


def test_every_right_of_a_role_opens_some_route() -> None:
    idle = ADMIN.rights - required_rights(all_routes(assistant=True))
    assert {str(right) for right in idle} == NOT_YET_DEMANDED


def test_demanded_collects_every_requirement_of_guarded_routes_only() -> None:
    routes = [
        guarded(
            "invoke",
            Requirement(Verb.UPDATE, Resource.EXPERIMENTS),
            Requirement(Verb.CREATE, Resource.GATEWAY_ENDPOINTS, USE),
        ),
        Route("GET", "/health", "health", Public()),
        Route("GET", "/me", "me", Authenticated("about the caller only")),
        Route("POST", "/jobs", "submit", Refused("no identity")),
    ]
    assert required_rights(routes) == {
        Right(Resource.EXPERIMENTS, "", Verb.UPDATE),
        Right(Resource.GATEWAY_ENDPOINTS, USE, Verb.CREATE),
    }


def test_deletions_are_listed_under_the_verb_that_allows_them() -> None:
    update = Requirement(Verb.UPDATE, Resource.EXPERIMENTS)
    delete = Requirement(Verb.DELETE, Resource.EXPERIMENTS)
    models = Requirement(Verb.UPDATE, Resource.REGISTERED_MODELS)
    table = deletions(
        [
            guarded("DeleteModelVersion", models, method="DELETE"),
            guarded("DeleteRun", update),
            guarded("DeleteExperiment", delete),
            guarded("dropTag", update, method="DELETE"),
            guarded("DeleteDemo", delete, Requirement(Verb.DELETE, Resource.DATASETS)),
            guarded("LogMetric", update),
            Route(
                "DELETE", "/workspaces/{name}", "DeleteWorkspace", Refused("namespaces are Kubernetes' own")
            ),
        ]
    )
    assert list(table.items()) == [
        (
            Right(Resource.EXPERIMENTS, "", Verb.DELETE),
            ("DeleteDemo (and `delete datasets`)", "DeleteExperiment"),
        ),
        (Right(Resource.EXPERIMENTS, "", Verb.UPDATE), ("DeleteRun", "dropTag")),
        (Right(Resource.REGISTERED_MODELS, "", Verb.UPDATE), ("DeleteModelVersion",)),
    ]


def test_runs_traces_versions_and_artifacts_are_deleted_under_update() -> None:
    table = deletions(all_routes(assistant=True))
    experiments = table[Right(Resource.EXPERIMENTS, "", Verb.UPDATE)]
    assert {"DeleteRun", "DeleteTraces", "DeleteTag", "DeleteLoggedModel"} <= set(experiments)
    assert "DeleteExperiment" in table[Right(Resource.EXPERIMENTS, "", Verb.DELETE)]
    assert "DeleteModelVersion" in table[Right(Resource.REGISTERED_MODELS, "", Verb.UPDATE)]
    assert "DeleteRegisteredModel" in table[Right(Resource.REGISTERED_MODELS, "", Verb.DELETE)]
