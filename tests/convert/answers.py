"""What the objects of a conversion give to somebody, in MLflow's levels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from workspace_authz.authorizer.rbac.objects import read_rules
from workspace_authz.grants.levels import Level
from workspace_authz.kubernetes.reviews import ResourceRule
from workspace_authz.roles.generate import cluster_roles
from workspace_authz.types import USABLE, Resource


@dataclass(frozen=True, slots=True)
class Answers:
    """Roles and RoleBindings, read as Kubernetes reads them."""

    manifests: Sequence[Mapping[str, Any]]

    def rules(self, namespace: str, user: str, *, groups: Iterable[str] = ()) -> Sequence[ResourceRule]:
        """All rules that hold for the user."""
        wanted = {("User", user), *(("Group", group) for group in groups)}
        roles = {
            each["metadata"]["name"]: each
            for each in self.manifests
            if each["kind"] == "Role" and each["metadata"]["namespace"] == namespace
        }
        rules: list[ResourceRule] = []
        for each in self.manifests:
            if each["kind"] != "RoleBinding" or each["metadata"]["namespace"] != namespace:
                continue
            if wanted & {(subject["kind"], subject["name"]) for subject in each["subjects"]}:
                ref = each["roleRef"]
                role = (_shipped() if ref["kind"] == "ClusterRole" else roles)[ref["name"]]
                rules += read_rules(role)
        return rules


@cache
def _shipped() -> Mapping[str, Any]:
    return {role["metadata"]["name"]: role for role in cluster_roles()}


def possible(level: Level | None, resource: Resource) -> Level | None:
    """USE is READ where nothing can be used."""
    return Level.READ if level is Level.USE and resource not in USABLE else level
