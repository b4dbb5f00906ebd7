"""Random attempts to gain rights through the RBAC API, most of which must be refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from tests.properties.questions import ROLES, Question
from tests.properties.vocabulary import DEFAULT_ROLES, RBAC, VERBS, Rule, random_rule, role_ref, user
from tests.properties.worlds import World


class Climber:
    """Draws attempts by the users of one world."""

    def __init__(self, world: World, random: Random) -> None:
        self.world = world
        self.random = random
        self.grants = world.grants()
        self.askers = [*world.users, "/".join(world.accounts[0])]
        self.nobody = user(f"{world.prefix}-nobody")

    def escalation(self, number: int) -> Question:
        """Somebody tries to make a role or a binding, which may give more than they hold."""
        asker = self.random.choice(self.askers)
        name = f"{self.world.prefix}-attempt-{number}"
        namespace = self.random.choice((*self.world.namespaces, self.world.namespaces[0]))
        make = self.random.choice((self._role, self._role, self._binding, self._aggregating))
        kind, content = make(asker)
        cluster_wide = kind.startswith("Cluster")
        metadata = {"name": name} if cluster_wide else {"name": name, "namespace": namespace}
        collection = f"{kind.lower()}s" if cluster_wide else f"namespaces/{namespace}/{kind.lower()}s"
        body = {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": metadata, **content}
        return Question(asker, "POST", f"{ROLES}/{collection}", body)

    def widening(self) -> Question:
        """Somebody tries to change a role that exists, bound to nobody, or a binding."""
        asker = self.random.choice(self.askers)
        prefix, namespace = self.world.prefix, self.world.namespaces[0]
        name = f"{prefix}-sentinel"
        choices: Sequence[tuple[str, Mapping[str, Any]]] = (
            (f"namespaces/{namespace}/rolebindings/{name}", {"subjects": [self.nobody]}),
            (f"clusterrolebindings/{name}", {"subjects": [self.nobody]}),
            (f"namespaces/{namespace}/roles/{name}", {"rules": self._rules(asker, namespaced=True)}),
            (f"clusterroles/{name}", {"rules": self._rules(asker, namespaced=False)}),
            (f"clusterroles/{name}", {"metadata": {"labels": {"changed": str(self.random.random())}}}),
        )
        path, patch = self.random.choice(choices)
        return Question(asker, "PATCH", f"{ROLES}/{path}", patch, content_type="application/merge-patch+json")

    def _rules(self, asker: str, *, namespaced: bool) -> list[Rule]:
        """Rules to give: held by the asker and narrowed, held by anybody, or made up."""
        names = {asker, *self.world.users.get(asker, ())}
        own = [grant.rule for grant in self.grants if grant.subject["name"] in names]
        pool = [
            *(self._narrowed(self.random.choice(own)) for _ in range(3) if own),
            self.random.choice(self.world.rules()),
            random_rule(self.random, namespaced=namespaced),
        ]
        fitting = [rule for rule in pool if not (namespaced and "nonResourceURLs" in rule)]
        return self.random.sample(fitting, min(len(fitting), self.random.randint(1, 2)))

    def _narrowed(self, rule: Rule) -> Rule:
        """The same rule or less: what covers it depends on how wildcards are understood."""
        if "nonResourceURLs" in rule:
            return {**rule, "nonResourceURLs": [url.replace("*", "x") for url in rule["nonResourceURLs"]]}
        resources = [name.replace("*", "experiments", 1) for name in rule["resources"]]
        verbs = [self.random.choice(VERBS) if verb == "*" else verb for verb in rule["verbs"]]
        narrowed = {**rule, "resources": resources, "verbs": verbs}
        if self.random.random() < 0.3:
            narrowed["resourceNames"] = ["churn"]
        return self.random.choice((rule, narrowed))

    def _role(self, asker: str) -> tuple[str, Mapping[str, Any]]:
        kind = self.random.choice(("Role", "Role", "ClusterRole"))
        return kind, {"rules": self._rules(asker, namespaced=kind == "Role")}

    def _aggregating(self, _: str) -> tuple[str, Mapping[str, Any]]:
        selector = {"matchLabels": {"nobody": "has-it"}}
        return "ClusterRole", {"aggregationRule": {"clusterRoleSelectors": [selector]}}

    def _binding(self, _: str) -> tuple[str, Mapping[str, Any]]:
        role = self.random.choice(self.world.roles())
        kind, name = role["kind"], role["metadata"]["name"]
        if self.random.random() < 0.2:
            kind, name = "ClusterRole", self.random.choice((*DEFAULT_ROLES, f"{self.world.prefix}-missing"))
        wide = kind == "ClusterRole" and self.random.random() < 0.4
        content = {"roleRef": role_ref(kind, name), "subjects": [self.nobody]}
        return ("ClusterRoleBinding" if wide else "RoleBinding"), content
