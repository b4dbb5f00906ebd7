"""The words of random RBAC objects and questions: few, so that a question often meets a rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

Object = dict[str, Any]
Rule = dict[str, Any]

RBAC = "rbac.authorization.k8s.io"
MLFLOW = "mlflow.kubeflow.org"
RESOURCES: Mapping[str, Sequence[str]] = {
    MLFLOW: ("experiments", "registeredmodels", "datasets", "gatewayendpoints", "gatewaysecrets"),
    "": ("namespaces", "secrets", "serviceaccounts", "configmaps", "pods"),
    RBAC: ("roles", "rolebindings", "clusterroles", "clusterrolebindings"),
    "apps": ("deployments",),
}
SUBRESOURCES = ("use", "token", "status", "log")
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "use", "bind", "escalate")
NAMES = ("churn", "fraud", "*", "team/x")
PATHS = ("/healthz", "/healthz/*", "/api", "/api/*", "/metrics", "*", "/openapi/*", "/met*rics")
DEFAULT_ROLES = ("view", "edit", "admin", "cluster-admin")
AGGREGATE = f"{RBAC}/aggregate-to-"


def random_rule(random: Random, *, namespaced: bool) -> Rule:
    """One valid rule. Only a ClusterRole (not ``namespaced``) can hold URLs."""
    verbs = ["*"] if random.random() < 0.15 else random.sample(VERBS, random.randint(1, 3))
    if not namespaced and random.random() < 0.25:
        return {"verbs": verbs, "nonResourceURLs": random.sample(PATHS, random.randint(1, 2))}
    groups = random.sample([*RESOURCES], 2 if random.random() < 0.15 else 1)
    resources = {_resource(random, random.choice(groups)) for _ in range(random.randint(1, 3))}
    rule: Rule = {
        "verbs": verbs,
        "apiGroups": ["*"] if random.random() < 0.1 else groups,
        "resources": sorted(resources),
    }
    if random.random() < 0.3:
        rule["resourceNames"] = random.sample(NAMES, random.randint(1, 2))
    return rule


def _resource(random: Random, group: str) -> str:
    resource = random.choice(RESOURCES[group])
    shape = random.random()
    if shape < 0.6:
        return resource
    if shape < 0.8:
        return f"{resource}/{random.choice(SUBRESOURCES)}"
    return random.choice(("*", "*/use", "*/*", f"{resource}/*", "*/token"))


def rbac_object(kind: str, name: str, *, namespace: str | None = None) -> Object:
    return an_object(f"{RBAC}/v1", kind, name=name, namespace=namespace)


def an_object(version: str, kind: str, *, name: str, namespace: str | None = None) -> Object:
    metadata: Object = {"name": name} if namespace is None else {"name": name, "namespace": namespace}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def role_ref(kind: str, name: str) -> Object:
    return {"apiGroup": RBAC, "kind": kind, "name": name}


def user(name: str) -> Object:
    return {"apiGroup": RBAC, "kind": "User", "name": name}


def group(name: str) -> Object:
    return {"apiGroup": RBAC, "kind": "Group", "name": name}


def account(namespace: str, name: str) -> Object:
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}
