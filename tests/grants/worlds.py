"""Random Roles, ClusterRoles and bindings about MLflow: subjects often hold part of a level, or several.

The same seed makes the same world. All names begin with the world's prefix.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tests.properties.vocabulary import (
    MLFLOW,
    NAMES,
    Object,
    Rule,
    account,
    an_object,
    group,
    random_rule,
    rbac_object,
    role_ref,
    user,
)
from workspace_authz.grants.levels import Level, rules_for
from workspace_authz.grants.objects import rules_manifest
from workspace_authz.types import USABLE, Resource, Verb

_ROLES = 6
_MANAGED = {"app.kubernetes.io/managed-by": "workspace-authz"}


@dataclass(frozen=True, slots=True)
class GrantsWorld:
    """What a control plane is made to hold."""

    namespace: str
    objects: list[Object]
    subjects: list[Object]
    """Whom bindings may name, as they stand in one; and some whom none names."""
    names: list[str]
    """Of objects, of which rules may speak."""


def make_grants_world(seed: int) -> GrantsWorld:
    """The world of this seed."""
    return _Maker(seed).make()


class _Maker:
    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.prefix = f"g{seed}"
        self.namespace = f"{self.prefix}-team"
        self.names = [*NAMES, f"a {self.prefix}"]
        self.subjects = [
            *(user(f"{self.prefix}-{name}") for name in ("alice", "bob", "carol")),
            *(group(f"{self.prefix}-{name}") for name in ("devs", "leads")),
            account(self.namespace, "robot"),
            account("elsewhere", "robot"),
        ]

    def make(self) -> GrantsWorld:
        roles = [self.role(number) for number in range(_ROLES)]
        wide = [self.cluster_role(number) for number in range(_ROLES)]
        bindings = [self.binding(number) for number in range(12)]
        everywhere = [self.cluster_binding(number) for number in range(2)]
        rbac = [*roles, *wide, *bindings, *everywhere]
        self.random.shuffle(rbac)
        names = (f"{self.prefix}-team", f"{self.prefix}-other")
        namespaces = [an_object("v1", "Namespace", name=name) for name in names]
        strangers = [user(f"{self.prefix}-nobody"), account(self.namespace, "nobody")]
        return GrantsWorld(
            self.namespace, [*namespaces, *rbac], [*self.subjects, *strangers], [*self.names, ""]
        )

    def rules(self, *, namespaced: bool) -> list[Rule]:
        return [
            rule for _ in range(self.random.randint(0, 3)) for rule in self.some_rules(namespaced=namespaced)
        ]

    def some_rules(self, *, namespaced: bool) -> list[Rule]:
        """A whole level, some verbs of MLflow, or whatever may stand in a rule."""
        drawn = self.random.random()
        if drawn < 0.4:
            resource, level = self.random.choice([*Resource]), self.random.choice([*Level])
            return rules_manifest(rules_for(resource, level, name=self.random.choice(["", *self.names])))
        if drawn < 0.8:
            return [self.mlflow_rule()]
        return [random_rule(self.random, namespaced=namespaced)]

    def mlflow_rule(self) -> Rule:
        resources = [*map(str, Resource), *(f"{each}/use" for each in sorted(USABLE)), "*", "*/use"]
        verbs = ["*"] if self.random.random() < 0.1 else self.random.sample([*map(str, Verb)], 3)
        rule: Rule = {
            "verbs": verbs,
            "apiGroups": [self.random.choice([MLFLOW, MLFLOW, "*"])],
            "resources": self.random.sample(resources, self.random.randint(1, 3)),
        }
        if self.random.random() < 0.5:
            rule["resourceNames"] = self.random.sample(self.names, self.random.randint(1, 2))
        return rule

    def role(self, number: int) -> Object:
        role = rbac_object("Role", f"{self.prefix}-{number}", namespace=self.namespace)
        if self.random.random() < 0.5:
            role["metadata"]["labels"] = _MANAGED
        return {**role, "rules": self.rules(namespaced=True)}

    def cluster_role(self, number: int) -> Object:
        role = rbac_object("ClusterRole", f"{self.prefix}-{number}")
        if number == _ROLES - 1:
            selector = {"matchLabels": {f"{self.prefix}/aggregated": "true"}}
            return {**role, "aggregationRule": {"clusterRoleSelectors": [selector]}}
        if self.random.random() < 0.5:
            role["metadata"]["labels"] = {f"{self.prefix}/aggregated": "true"}
        return {**role, "rules": self.rules(namespaced=False)}

    def binding(self, number: int) -> Object:
        namespace = self.namespace if self.random.random() < 0.85 else f"{self.prefix}-other"
        kind = self.random.choice(["Role", "ClusterRole"])
        name = f"{self.prefix}-{self.random.randrange(_ROLES + 1)}"  # the last one is missing
        if kind == "ClusterRole" and self.random.random() < 0.2:
            name = self.random.choice(["view", "edit", "mlflow-view", "mlflow-integration"])
        binding = rbac_object("RoleBinding", f"{self.prefix}-{number}", namespace=namespace)
        if self.random.random() < 0.5:
            binding["metadata"]["labels"] = _MANAGED
        return {**binding, "roleRef": role_ref(kind, name), "subjects": self.some_subjects()}

    def cluster_binding(self, number: int) -> Object:
        binding = rbac_object("ClusterRoleBinding", f"{self.prefix}-{number}")
        name = f"{self.prefix}-{self.random.randrange(_ROLES)}"
        return {**binding, "roleRef": role_ref("ClusterRole", name), "subjects": self.some_subjects()}

    def some_subjects(self) -> list[Object]:
        # A service account may also be named as the user that it authenticates as.
        pool = [*self.subjects, user(f"system:serviceaccount:{self.namespace}:robot")]
        return self.random.sample(pool, self.random.randint(1, 2))
