"""Two running engines: filling both alike, asking both the same, and what counts as the same answer."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.properties.questions import (
    ADMIN,
    ANONYMOUS,
    AUDIENCES,
    AUTHORIZATION,
    GARBAGE,
    ROLES,
    Question,
    whose_token,
)
from tests.properties.vocabulary import Object
from tests.properties.worlds import World, sentinels
from workspace_authz.devplane.api import Answer, Api, until
from workspace_authz.devplane.apply import apply

_IN_FORCE_SECONDS = 30.0
_GRANT = re.compile(
    r'allowed by (?P<kind>(?:Cluster)?RoleBinding) "(?P<name>[^"/]+)(?:/(?P<namespace>[^"]+))?"'
    r' of (?P<role_kind>\w+) "(?P<role>[^"]+)" to (?P<subject_kind>\w+) "(?P<subject>[^"/]+)(?:/[^"]+)?"'
)
_NOT_FOUND = re.compile(r'\[((?:[\w.]+ "[^"]*" not found(?:, )?)+)\]')


@dataclass(slots=True)
class Plane:
    """One engine, and the tokens of its users and service accounts by name."""

    api: Api
    tokens: dict[str, str | None] = field(default_factory=dict)

    async def learn_tokens(self, world: World) -> None:
        """Make tokens for the service accounts: for the API, and for audiences."""
        self.tokens |= {ADMIN: self.tokens[ADMIN], ANONYMOUS: None, GARBAGE: "no.such.token"}
        self.tokens |= {name: f"{name}-token" for name in world.users}
        for namespace, name in world.accounts:
            await self.learn_token(f"{namespace}/{name}", {})
            for audience in AUDIENCES:
                await self.learn_token(
                    f"{namespace}/{name}", {"audiences": [audience]}, suffix=f"@{audience}"
                )

    async def learn_token(self, account: str, spec: Object, *, suffix: str = "") -> None:
        """Make a token of one service account (``ns/name``) as the spec of a TokenRequest says."""
        namespace, name = account.split("/")
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        answer = await self.api.post(path, request)
        assert answer.ok, answer
        self.tokens[account + suffix] = answer.body["status"]["token"]

    async def until_unknown(self, name: str) -> None:
        """Wait until the token no longer authenticates."""
        question = whose_token(name)[0]

        async def unknown() -> bool:
            return (await self.ask(question)).status == 401

        async with asyncio.timeout(_IN_FORCE_SECONDS):
            await until(unknown)

    async def ask(self, question: Question) -> Answer:
        """Send the question with the asker's token."""
        api = self.api.with_token(self.tokens[question.asker])
        body = question.body
        if body is not None and question.about is not None:
            body = {**body, "spec": {**body["spec"], "token": self.tokens[question.about]}}
        return await api.request(
            question.method, question.path, body=body, content_type=question.content_type
        )

    async def wait_until_in_force(self, prefix: str, namespace: str) -> None:
        """Wait until everything done so far counts in authorization."""
        await apply(self.api, sentinels(prefix, namespace))

        async def seen() -> bool:
            answers = [
                await self.ask(_sees(f"{prefix}-sentinel", namespace)),
                await self.ask(_sees(f"{prefix}-sentinel-wide", "")),
            ]
            return all(answer.body["status"]["allowed"] for answer in answers)

        async with asyncio.timeout(_IN_FORCE_SECONDS):
            await until(seen)

    async def delete(self, objects: Iterable[Object]) -> None:
        """Delete RBAC objects."""
        for item in objects:
            answer = await self.api.request("DELETE", path_of(item))
            assert answer.ok, answer

    async def holds(self, grant: re.Match[str]) -> bool:
        """Whether there is this binding, of this role to this subject."""
        metadata = {"name": grant["name"]} | ({"namespace": grant["namespace"]} if grant["namespace"] else {})
        binding = (await self.api.get(path_of({"kind": grant["kind"], "metadata": metadata}))).body
        subjects = [(subject["kind"], subject["name"]) for subject in binding.get("subjects", ())]
        return (grant["subject_kind"], grant["subject"]) in subjects and (
            binding["roleRef"]["kind"],
            binding["roleRef"]["name"],
        ) == (grant["role_kind"], grant["role"])

    async def cluster_roles(
        self, *, without: Mapping[str, Sequence[str]] | None = None
    ) -> Mapping[str, Sequence[str]]:
        """The rules of every ClusterRole, in a fixed order; only what is not in ``without``."""
        items = (await self.api.get(f"{ROLES}/clusterroles")).body["items"]
        known = without or {}
        rules = {item["metadata"]["name"]: sorted(map(_canonical, item.get("rules") or ())) for item in items}
        return {
            name: [rule for rule in own if rule not in known.get(name, ())] for name, own in rules.items()
        }


def path_of(item: Object) -> str:
    """Where an RBAC object is."""
    metadata, plural = item["metadata"], f"{item['kind'].lower()}s"
    namespace = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{ROLES}{namespace}/{plural}/{metadata['name']}"


async def disagreements(real: Plane, embedded: Plane, *, questions: Sequence[Question]) -> Sequence[str]:
    """Ask both engines; describe each question to which they gave different answers."""
    found = await asyncio.gather(
        *(_disagreement(real, embedded, question=question) for question in questions)
    )
    return [text for text in found if text is not None]


async def _disagreement(real: Plane, embedded: Plane, *, question: Question) -> str | None:
    answers = await asyncio.gather(real.ask(question), embedded.ask(question))
    theirs, ours = (comparable(question, answer) for answer in answers)
    if theirs == ours or await _another_grant(real, theirs=theirs, ours=ours):
        return None
    return f"{question}\n  kube-apiserver: {theirs}\n  embedded:       {ours}"


async def _another_grant(real: Plane, *, theirs: str, ours: str) -> bool:
    """Whether both allow, and ours names another binding that is there.

    Of several bindings that allow, Kubernetes names the one that a Go map happened to give first.
    """
    if _GRANT.sub("", theirs) != _GRANT.sub("", ours):
        return False
    named = _GRANT.search(ours)
    return named is not None and await real.holds(named)


def comparable(question: Question, answer: Answer) -> str:
    """What must be the same: status and outcome, without the order of sets and what is random."""
    body = answer.body
    if not answer.ok:
        return _sorted_errors(
            _canonical([answer.status, body.get("reason"), body.get("message"), body.get("details")])
        )
    if not question.path.startswith((AUTHORIZATION, "/apis/authentication.k8s.io")):
        return str(answer.status)
    status = dict(body.get("status") or {})
    for rules in ("resourceRules", "nonResourceRules"):
        if rules in status:
            status[rules] = sorted(map(_canonical, status[rules]))
    for holder in ("userInfo", "user"):
        user = status.get(holder) or {}
        if "authentication.kubernetes.io/credential-id" in user.get("extra", {}):
            user["extra"]["authentication.kubernetes.io/credential-id"] = "of this token"
            user["uid"] = "of this account"
    return _sorted_errors(_canonical([answer.status, status]))


def _sorted_errors(text: str) -> str:
    """Missing roles are listed in the order in which a Go map gave the bindings."""
    return _NOT_FOUND.sub(lambda match: f"[{sorted(match[1].split(', '))}]", text.replace('\\"', '"'))


def _sees(user: str, namespace: str) -> Question:
    attributes = {"verb": "see", "group": "sentinel", "resource": "sentinels", "namespace": namespace}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": attributes},
    }
    return Question(ADMIN, "POST", f"{AUTHORIZATION}/subjectaccessreviews", body)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
