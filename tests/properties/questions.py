"""Random questions about a world, as HTTP requests that either engine can be sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.properties.vocabulary import MLFLOW, RBAC, RESOURCES, SUBRESOURCES, random_rule
from tests.properties.worlds import Grant, World

AUTHORIZATION = "/apis/authorization.k8s.io/v1"
AUTHENTICATION = "/apis/authentication.k8s.io/v1"
ROLES = f"/apis/{RBAC}/v1"
ADMIN, ANONYMOUS, GARBAGE = "admin", "anonymous", "garbage"
AUDIENCES = ("mlflow", "https://kubernetes.default.svc.cluster.local", "other")


@dataclass(frozen=True, slots=True)
class Question:
    """One request. ``asker`` names whose token goes with it (see ``Plane.tokens``)."""

    asker: str
    method: str
    path: str
    body: Mapping[str, Any] | None = None
    content_type: str = "application/json"
    about: str | None = None
    """For a TokenReview: whose token is the subject of the review."""


class Asker:
    """Draws questions about one world."""

    def __init__(self, world: World, random: Random, *, tokens: Sequence[str]) -> None:
        self.world = world
        self.random = random
        self.tokens = tokens
        """Tokens of users, accounts (``ns/name``), accounts for an audience (``ns/name@aud``)."""
        self.askers = [*(name for name in tokens if "@" not in name), ANONYMOUS, GARBAGE]
        self.rules = [*world.rules(), random_rule(random, namespaced=False)]
        self.grants = world.grants()

    def subject_access_review(self) -> Question:
        """An admin asks about anybody."""
        grant = self.random.choice(self.grants) if self.random.random() < 0.6 else None
        user, groups = self.subject() if grant is None else self.holder(grant)
        spec: dict[str, Any] = {"user": user, "groups": groups, **self.attributes(grant)}
        return review(ADMIN, "SubjectAccessReview", spec=spec)

    def self_subject_access_review(self) -> Question:
        """Somebody asks about themselves."""
        asker = self.random.choice(self.askers)
        return review(asker, "SelfSubjectAccessReview", spec=self.attributes())

    def self_subject_rules_review(self) -> Question:
        """Somebody asks for all their rules."""
        namespace = self.random.choice((*self.world.namespaces, "kube-system", "ghost", ""))
        asker = self.random.choice(self.askers)
        return review(asker, "SelfSubjectRulesReview", spec={"namespace": namespace})

    def self_subject_review(self) -> Question:
        """Somebody asks who they are."""
        asker = self.random.choice([*self.askers, *self.tokens])
        return review(asker, "SelfSubjectReview", spec=None)

    def token_review(self) -> Question:
        """An admin, or somebody who probably may not, asks whose token it is."""
        about = self.random.choice([*self.tokens, GARBAGE])
        audiences = self.random.sample(AUDIENCES, self.random.randint(0, 2))
        asker = ADMIN if self.random.random() < 0.9 else self.random.choice(self.askers)
        spec = {"audiences": audiences} if audiences else {}
        return review(asker, "TokenReview", spec=spec, about=about)

    def invalid_review(self) -> Question:
        """A review that no API server accepts."""
        resource = {"resourceAttributes": {"verb": "get", "resource": "experiments", "group": MLFLOW}}
        url = {"nonResourceAttributes": {"verb": "get", "path": "/healthz"}}
        choices: Sequence[tuple[str, Mapping[str, Any]]] = (
            ("SubjectAccessReview", {"user": "alice", **resource, **url}),
            ("SubjectAccessReview", {"user": "alice"}),
            ("SubjectAccessReview", resource),
            ("SelfSubjectAccessReview", {**resource, **url}),
            ("SelfSubjectAccessReview", {}),
            ("SelfSubjectRulesReview", {}),
        )
        kind, spec = self.random.choice(choices)
        return review(ADMIN, kind, spec=spec)

    def read(self) -> Question:
        """Somebody reads something through the API, and mostly may not."""
        version, resource, namespaced = self.random.choice(
            [
                ("/api/v1", "namespaces", False),
                ("/api/v1", "secrets", True),
                ("/api/v1", "serviceaccounts", True),
                (ROLES, "roles", True),
                (ROLES, "rolebindings", True),
                (ROLES, "clusterroles", False),
                (ROLES, "clusterrolebindings", False),
            ]
        )
        everywhere = namespaced and self.random.random() < 0.2
        namespace = self.random.choice((*self.world.namespaces, "ghost"))
        path = f"{version}/namespaces/{namespace}" if namespaced and not everywhere else version
        names = ("", "churn", "fraud", *self.world.namespaces)
        name = "" if everywhere else self.random.choice(names)
        return Question(self.random.choice(self.askers), "GET", f"{path}/{resource}/{name}".rstrip("/"))

    def subject(self) -> tuple[str, list[str]]:
        """A user name and groups: of a user, of a service account, or made up."""
        prefix, random = self.world.prefix, self.random
        name, groups = random.choice([*self.world.users.items()])
        namespace, account = random.choice(self.world.accounts)
        return random.choice(
            [
                (name, [*groups, "system:authenticated"]),
                (name, [*groups, "system:authenticated"]),
                (name, []),
                (
                    f"system:serviceaccount:{namespace}:{account}",
                    ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
                ),
                (f"system:serviceaccount:{namespace}:{account}", []),
                ("", [f"{prefix}-devs"]),
                (f"{prefix}-unbound", [f"{prefix}-leads"]),
                ("system:anonymous", ["system:unauthenticated"]),
                ("root", ["system:masters"]),
            ]
        )

    def holder(self, grant: Grant) -> tuple[str, list[str]]:
        """User name and groups of somebody to whom this is granted."""
        subject = grant.subject
        if subject["kind"] == "Group":
            return f"{self.world.prefix}-member", [subject["name"]]
        if subject["kind"] == "User":
            return subject["name"], []
        return f"system:serviceaccount:{subject['namespace']}:{subject['name']}", []

    def attributes(self, grant: Grant | None = None) -> dict[str, Any]:
        """What is asked: near a granted rule, or any rule of the world, so that many answers are yes."""
        random, rule = self.random, self.random.choice(self.rules) if grant is None else grant.rule
        verb = self._one(rule["verbs"], ("get", "list", "create", "use", "*"))
        if "nonResourceURLs" in rule:
            url = random.choice(rule["nonResourceURLs"])
            path = random.choice((url, url.replace("*", "x/y"), url + "/", "/healthz", "/", "healthz"))
            return {"nonResourceAttributes": {"verb": verb, "path": path}}
        group = self._one(rule["apiGroups"], [*RESOURCES])
        resource, _, subresource = self._one(rule["resources"], RESOURCES.get(group, ("pods",))).partition(
            "/"
        )
        if resource == "*" and random.random() < 0.9:
            resource = random.choice(RESOURCES.get(group, ("pods",)))
        if subresource == "*" or random.random() < 0.2:
            subresource = random.choice(("", "*", *SUBRESOURCES))
        namespace = random.choice((*self.world.namespaces, *self.world.namespaces, "", "ghost"))
        attributes = {
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": subresource,
            "namespace": namespace if grant is None else grant.namespace or namespace,
            "name": random.choice((*(rule.get("resourceNames") or ("", "")), "", "churn")),
        }
        if random.random() < 0.1:
            attributes["version"] = "v1"
        return {"resourceAttributes": attributes}

    def _one(self, values: Sequence[str], vocabulary: Sequence[str]) -> str:
        value = self.random.choice(values)
        wild = value == "*" and self.random.random() < 0.9
        return self.random.choice(vocabulary) if wild or self.random.random() < 0.1 else value


def whose_token(name: str) -> Sequence[Question]:
    """The two ways to ask whose token it is: by using it, and as an admin."""
    return (
        review(name, "SelfSubjectReview", spec=None),
        review(ADMIN, "TokenReview", spec={}, about=name),
    )


def review(asker: str, kind: str, *, spec: Mapping[str, Any] | None, about: str | None = None) -> Question:
    """A review of this kind, or with ``spec`` None one that has none."""
    root = AUTHENTICATION if kind in ("SelfSubjectReview", "TokenReview") else AUTHORIZATION
    body: dict[str, Any] = {"apiVersion": root.removeprefix("/apis/"), "kind": kind}
    if spec is not None:
        body["spec"] = dict(spec)
    return Question(asker, "POST", f"{root}/{kind.lower()}s", body, about=about)
