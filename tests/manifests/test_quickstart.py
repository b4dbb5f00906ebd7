"""``manifests/quickstart.yaml`` on a real API server: it is accepted, and it means what it should."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.manifests.flat import flat, of_kind
from tests.manifests.kube import ROOT, Kubectl
from tests.scenarios.waiting import until
from workspace_authz.roles.policy import ADMIN, EDIT, INTEGRATION, VIEW, Right, Role
from workspace_authz.types import API_GROUP, Resource, Verb

SERVER = "system:serviceaccount:mlflow:mlflow"
SERVER_GROUPS = ("system:serviceaccounts", "system:serviceaccounts:mlflow", "system:authenticated")


def rights_of(cluster_role: dict[str, Any]) -> frozenset[Right]:
    """What a ClusterRole says about our pseudo-resources."""
    return frozenset(
        Right(Resource(resource.partition("/")[0]), resource.partition("/")[2], Verb(verb))
        for rule in cluster_role["rules"]
        if API_GROUP in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    )


def rules_of(kubectl: Kubectl, account: str) -> list[dict[str, Any]]:
    """Every resource rule that holds for a service account of the namespace mlflow there."""
    impersonated = ["--as", f"system:serviceaccount:mlflow:{account}"]
    for group in SERVER_GROUPS:
        impersonated += ["--as-group", group]
    status = kubectl.create(
        "SelfSubjectRulesReview", {"namespace": "mlflow"}, "--validate=false", *impersonated
    )
    assert not status["incomplete"]
    rules: list[dict[str, Any]] = status["resourceRules"]
    return rules


def test_applying_it_again_changes_nothing(kubectl: Kubectl) -> None:
    assert kubectl.run("diff", "--server-side", "-f", "manifests/quickstart.yaml") == ""


def test_pod_passes_the_restricted_standard(kubectl: Kubectl) -> None:
    template = kubectl.json("get", "deployment", "mlflow", "-n", "mlflow")["spec"]["template"]
    (container,) = template["spec"]["containers"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}, "spec": template["spec"]}
    kubectl.run("create", "--dry-run=server", "-n", "mlflow", "-f", "-", stdin=pod)

    del container["securityContext"]["allowPrivilegeEscalation"]
    with pytest.raises(AssertionError, match='violates PodSecurity "restricted'):
        kubectl.run("create", "--dry-run=server", "-n", "mlflow", "-f", "-", stdin=pod)


def test_without_the_lines_that_openshift_forbids_it_is_accepted_and_asks_for_no_group(
    kubectl: Kubectl,
) -> None:
    """Given the README's ``sed -i /fsGroup/d``: the constraint restricted-v2 admits no group but its own."""
    assert "`sed -i /fsGroup/d mlflow.yaml`" in (ROOT / "README.md").read_text()
    lines = flat("quickstart").read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if "fsGroup" not in line)

    accepted = ("apply", "--server-side", "--validate=strict", "--dry-run=server", "--force-conflicts")
    kubectl.run(*accepted, "-f", "-", text=text)

    (deployment,) = of_kind(list(yaml.safe_load_all(text)), "Deployment")
    security = deployment["spec"]["template"]["spec"]["securityContext"]
    assert security == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_server_holds_what_everybody_holds_and_follows_namespaces_and_rbac(kubectl: Kubectl) -> None:
    everybody = rules_of(kubectl, "default")
    beyond = [rule for rule in rules_of(kubectl, "mlflow") if rule not in everybody]
    follows = ["list", "watch"]
    rbac = ["roles", "rolebindings", "clusterroles", "clusterrolebindings"]
    assert beyond == [
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", *follows]},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": rbac, "verbs": follows},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "verbs": ["get"]},
    ]


@pytest.mark.parametrize(
    ("builtin", "role"), [("view", VIEW), ("edit", EDIT), ("admin", ADMIN)], ids=["view", "edit", "admin"]
)
def test_builtin_role_takes_in_exactly_ours(builtin: str, role: Role, kubectl: Kubectl) -> None:
    deadline = time.monotonic() + 120
    found: frozenset[Right] = frozenset()
    while found != role.rights and time.monotonic() < deadline:
        found = rights_of(kubectl.json("get", "clusterrole", builtin))  # aggregated a moment after the apply
    assert found == role.rights


def test_integration_is_aggregated_into_nothing(kubectl: Kubectl) -> None:
    role = kubectl.json("get", "clusterrole", "mlflow-integration")
    assert rights_of(role) == INTEGRATION.rights
    assert "labels" not in role["metadata"]


@pytest.fixture(scope="module")
def examples(kubectl: Kubectl) -> Iterator[Kubectl]:
    """With the team's namespace, a neighbour's, and every example applied."""
    for namespace in ("team-a", "team-b", "shared"):
        kubectl.run("create", "namespace", namespace)
    kubectl.run("create", "serviceaccount", "trainer", "-n", "team-a")
    kubectl.run("apply", "--server-side", "-f", "manifests/examples")
    yield kubectl
    kubectl.run("delete", "-f", "manifests/examples")  # one has the name of a Job of the overlays


CALLERS = {
    "member": {"user": "dana", "groups": ["data-scientists", "system:authenticated"]},
    "trainer": {"user": "system:serviceaccount:team-a:trainer", "groups": ["system:authenticated"]},
    "unknown": {"user": "system:anonymous", "groups": ["system:unauthenticated"]},
}


@pytest.mark.parametrize(
    ("who", "verb", "resource", "namespace", "allowed"),
    [
        ("member", "delete", "experiments", "team-a", True),
        ("member", "update", "gatewaybudgets", "team-a", False),
        ("member", "get", "experiments", "team-b", False),
        ("trainer", "update", "experiments", "team-a", True),
        ("trainer", "delete", "experiments", "team-a", False),
        ("trainer", "get", "experiments", "team-b", False),
        ("member", "get", "experiments", "shared", True),
        ("trainer", "list", "registeredmodels", "shared", True),
        ("trainer", "update", "experiments", "shared", False),
        ("unknown", "get", "experiments", "shared", False),
    ],
)
def test_examples_grant_what_they_say(
    who: str, verb: str, resource: str, namespace: str, allowed: bool, examples: Kubectl
) -> None:
    attributes = {"group": API_GROUP, "resource": resource, "verb": verb, "namespace": namespace}
    spec = {**CALLERS[who], "resourceAttributes": attributes}
    until(lambda: examples.create("SubjectAccessReview", spec)["allowed"] is allowed)


@pytest.mark.parametrize(
    ("verb", "resource", "name", "allowed"),
    [
        ("update", "experiments", "fraud", True),
        ("list", "registeredmodels", "fraud-detector", True),
        ("get", "experiments", "another", False),
        ("list", "experiments", "", False),
        ("update", "registeredmodels", "fraud-detector", False),
    ],
)
def test_the_example_of_names_grants_these_objects_only(
    verb: str, resource: str, name: str, allowed: bool, examples: Kubectl
) -> None:
    asked = {"group": API_GROUP, "resource": resource, "verb": verb, "namespace": "team-a", "name": name}
    spec = {"user": "bob", "resourceAttributes": asked}
    until(lambda: examples.create("SubjectAccessReview", spec)["allowed"] is allowed)
