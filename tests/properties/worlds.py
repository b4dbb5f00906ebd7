"""Random RBAC worlds: two namespaces, users and service accounts, roles and bindings of every shape.

All names begin with the world's prefix, so that worlds live side by side in one API server. The same seed
makes the same world. Rules are drawn from a small vocabulary, so that questions drawn from it are often,
but not always, answered with yes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from tests.properties.vocabulary import (
    AGGREGATE,
    DEFAULT_ROLES,
    RBAC,
    RESOURCES,
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


@dataclass(frozen=True, slots=True)
class Grant:
    """One rule held by one subject, in a namespace or (empty) everywhere."""

    subject: Object
    namespace: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class World:
    """What both engines are made to hold."""

    prefix: str
    namespaces: Sequence[str]
    users: Mapping[str, Sequence[str]]
    """User name and groups; the token of a user is ``<name>-token``."""
    accounts: Sequence[tuple[str, str]]
    """Namespace and name of the service accounts."""
    objects: Sequence[Object]
    changed: Sequence[Object]
    """Objects of the same kind and name as some of ``objects``, with other content."""
    removed: Sequence[Object]
    """Some of ``objects``."""

    def rules(self) -> Sequence[Rule]:
        """Every rule of every role, before and after the changes."""
        return [rule for item in (*self.objects, *self.changed) for rule in item.get("rules") or ()]

    def roles(self) -> Sequence[Object]:
        """Every Role and ClusterRole."""
        return [item for item in self.objects if item["kind"] in ("Role", "ClusterRole")]

    def grants(self) -> Sequence[Grant]:
        """Who got which rule where, as far as the objects alone tell (no default roles, no aggregation)."""
        rules = {(item["kind"], *_where(item)): item.get("rules", ()) for item in self.roles()}
        found = []
        for binding in (item for item in self.objects if "roleRef" in item):
            (namespace, _), role = _where(binding), binding["roleRef"]
            key = (role["kind"], namespace if role["kind"] == "Role" else "", role["name"])
            for rule in rules.get(key, ()):
                found += [Grant(subject, namespace, rule) for subject in binding["subjects"]]
        return found


def users_of(prefix: str) -> Mapping[str, Sequence[str]]:
    """The users of a world, which must be known before the engines start."""
    return {
        f"{prefix}-alice": (f"{prefix}-devs", f"{prefix}-leads"),
        f"{prefix}-bob": (f"{prefix}-devs",),
        f"{prefix}-carol": (f"{prefix}-leads",),
        f"{prefix}-mallory": (),
    }


def make_world(seed: int) -> World:
    """The world of this seed."""
    return _Maker(seed).make()


def _where(item: Object) -> tuple[str, str]:
    """Namespace and name; a cluster-wide object has an empty namespace."""
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


class _Maker:
    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.prefix = f"s{seed}"
        self.namespaces = (f"{self.prefix}-a", f"{self.prefix}-b")
        self.users = users_of(self.prefix)
        self.accounts = tuple(
            (namespace, name) for namespace in self.namespaces for name in ("robot", "trainer")
        )

    def make(self) -> World:
        roles = [self.role(number) for number in range(6)]
        cluster_roles = [self.cluster_role(number) for number in range(8)]
        bindings = [self.role_binding(number, roles) for number in range(10)]
        cluster_bindings = [self.cluster_role_binding(number) for number in range(4)]
        rbac = [*roles, *cluster_roles, *bindings, *cluster_bindings, *self.managers()]
        self.random.shuffle(rbac)  # a binding may come before its role
        namespaces = [an_object("v1", "Namespace", name=name) for name in self.namespaces]
        accounts = [
            an_object("v1", "ServiceAccount", name=name, namespace=namespace)
            for namespace, name in self.accounts
        ]
        changed = [self.role(number) for number in (0, 1)] + [
            self.cluster_role(number) for number in (0, 1, 2)
        ]
        kept = {(item["kind"], item["metadata"]["name"]) for item in changed}
        candidates = [item for item in rbac if (item["kind"], item["metadata"]["name"]) not in kept]
        return World(
            prefix=self.prefix,
            namespaces=self.namespaces,
            users=self.users,
            accounts=self.accounts,
            objects=[*namespaces, *accounts, *rbac],
            changed=changed,
            removed=self.random.sample(candidates, 6),
        )

    def rules(self, *, namespaced: bool) -> list[Rule]:
        return [random_rule(self.random, namespaced=namespaced) for _ in range(self.random.randint(0, 3))]

    def role(self, number: int) -> Object:
        namespace = self.namespaces[number % 2]
        role = rbac_object("Role", f"{self.prefix}-role-{number}", namespace=namespace)
        return {**role, "rules": self.rules(namespaced=True)}

    def cluster_role(self, number: int) -> Object:
        role = rbac_object("ClusterRole", f"{self.prefix}-role-{number}")
        labels = {f"{self.prefix}/{label}": "true" for label in ("x", "y") if self.random.random() < 0.4}
        if self.random.random() < 0.2:
            labels[f"{AGGREGATE}{self.random.choice(('view', 'edit', 'admin'))}"] = "true"
        role["metadata"]["labels"] = labels
        if number == 7:  # may aggregate 6, but not the reverse: a circle never forgets a rule
            role["metadata"]["labels"] = {}
        if number in (6, 7):
            role["aggregationRule"] = {"clusterRoleSelectors": self.selectors()}
        else:
            role["rules"] = self.rules(namespaced=False)
        return role

    def selectors(self) -> list[Object]:
        x, y = f"{self.prefix}/x", f"{self.prefix}/y"
        choices: list[Object] = [
            {"matchLabels": {x: "true"}},
            {"matchLabels": {x: "true", y: "true"}},
            {"matchExpressions": [{"key": y, "operator": "Exists"}]},
            {
                "matchLabels": {x: "true"},
                "matchExpressions": [{"key": y, "operator": "NotIn", "values": ["true"]}],
            },
            {"matchExpressions": [{"key": x, "operator": "In", "values": ["true", "yes"]}]},
        ]
        return self.random.sample(choices, self.random.randint(1, 2))

    def role_binding(self, number: int, roles: Sequence[Object]) -> Object:
        namespace = self.random.choice(self.namespaces)
        own = [role["metadata"]["name"] for role in roles if role["metadata"]["namespace"] == namespace]
        kind, name = self.random.choice(
            [
                ("Role", self.random.choice(own)),
                ("Role", self.random.choice([*own, f"{self.prefix}-missing"])),
                ("ClusterRole", f"{self.prefix}-role-{self.random.randrange(9)}"),  # the last one is missing
                ("ClusterRole", self.random.choice(DEFAULT_ROLES)),
            ]
        )
        binding = rbac_object("RoleBinding", f"{self.prefix}-binding-{number}", namespace=namespace)
        shared = [group(name) for name in ("system:authenticated", "system:serviceaccounts")]
        return {**binding, "roleRef": role_ref(kind, name), "subjects": self.subjects(extra=shared)}

    def cluster_role_binding(self, number: int) -> Object:
        binding = rbac_object("ClusterRoleBinding", f"{self.prefix}-binding-{number}")
        name = f"{self.prefix}-role-{self.random.randrange(9)}"
        return {**binding, "roleRef": role_ref("ClusterRole", name), "subjects": self.subjects(extra=[])}

    def subjects(self, *, extra: Sequence[Object]) -> list[Object]:
        groups = {name for member in self.users.values() for name in member}
        pool = [
            *(user(name) for name in self.users),
            *(group(name) for name in sorted(groups)),
            *(account(namespace, name) for namespace, name in self.accounts),
            *(group(f"system:serviceaccounts:{namespace}") for namespace in self.namespaces),
            user(f"system:serviceaccount:{self.namespaces[0]}:robot"),
            *extra,
        ]
        return self.random.sample(pool, self.random.randint(1, 3))

    def managers(self) -> list[Object]:
        """Some may write RBAC objects, some may also bind or escalate: for attempts to gain rights."""
        managers: list[Object] = []
        for number, name in enumerate([*self.users][:3]):
            cluster_wide = self.random.random() < 0.5
            rules: list[Rule] = [
                {
                    "apiGroups": [RBAC],
                    "resources": list(RESOURCES[RBAC]),
                    "verbs": ["get", "list", "create", "update", "patch", "delete"],
                }
            ]
            if self.random.random() < 0.5:
                bound = [f"{self.prefix}-role-{self.random.randrange(9)}", "view"]
                kinds = self.random.sample(("roles", "clusterroles"), self.random.randint(1, 2))
                rules.append(
                    {"apiGroups": [RBAC], "resources": kinds, "verbs": ["bind"], "resourceNames": bound}
                )
            if self.random.random() < 0.2:
                rules.append({"apiGroups": [RBAC], "resources": ["roles"], "verbs": ["escalate"]})
            role = rbac_object("ClusterRole", f"{self.prefix}-manager-{number}")
            kind, namespace = (
                ("ClusterRoleBinding", None) if cluster_wide else ("RoleBinding", self.namespaces[0])
            )
            binding = rbac_object(kind, f"{self.prefix}-manager-{number}", namespace=namespace)
            ref = role_ref("ClusterRole", role["metadata"]["name"])
            managers += [{**role, "rules": rules}, {**binding, "roleRef": ref, "subjects": [user(name)]}]
        return managers


def sentinels(prefix: str, namespace: str) -> Sequence[Object]:
    """One object of each RBAC kind, for the users ``<prefix>-sentinel`` and ``<prefix>-sentinel-wide``.

    Whoever has seen these, made last, has seen everything that was done before: watches keep the order
    of their kind.
    """
    name = f"{prefix}-sentinel"
    rules = [{"apiGroups": ["sentinel"], "resources": ["sentinels"], "verbs": ["see"]}]
    bound = {"roleRef": role_ref("Role", name), "subjects": [user(name)]}
    bound_widely = {"roleRef": role_ref("ClusterRole", name), "subjects": [user(f"{name}-wide")]}
    return (
        {**rbac_object("Role", name, namespace=namespace), "rules": rules},
        {**rbac_object("ClusterRole", name), "rules": rules},
        {**rbac_object("RoleBinding", name, namespace=namespace), **bound},
        {**rbac_object("ClusterRoleBinding", name), **bound_widely},
    )
