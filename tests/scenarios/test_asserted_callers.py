"""Callers without a token: the verdicts are those for the same user with one, on every route of the catalog.

The caller's token and the caller's name are judged by pipelines of their own, so no cached answer of the one
helps the other. With the token the API server is asked by the caller (SelfSubjectAccessReview), with the
name by the server's own account (SubjectAccessReview).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

import pytest

from tests.harness.http import Answer, Headers
from tests.harness.plane import User
from tests.harness.provider import model_provider
from tests.harness.releases import USUAL, has
from tests.harness.server import WORKSPACE, MlflowServer
from tests.scenarios.asserted import ASSERTED, delegation, pipelines
from tests.scenarios.campaign import elsewhere, needed, request_of
from tests.scenarios.people import ABSENT, MATRIX, Cluster, People
from tests.scenarios.recipes import MINIMAL, RECIPES
from tests.scenarios.recipes.model import Call
from tests.scenarios.studio import Studio
from tests.scenarios.test_every_route import UNPREFIXED, name_of
from tests.scenarios.tracking_studio import Ask
from workspace_authz.catalog.entries import Entry
from workspace_authz.catalog.model import AnyRight, Guarded, Public, Refused
from workspace_authz.effects.effects import EffectKind
from workspace_authz.effects.rewriting import RequestReplacement
from workspace_authz.mlflow_adapter.reading.request import AccessRequest, GivenBody
from workspace_authz.pipeline.pipeline import Pipeline
from workspace_authz.pipeline.verdict import Refuse

AT_ONCE = 16
SEARCH = "/api/2.0/mlflow/experiments/search"


@dataclass(frozen=True, slots=True)
class Role:
    """Somebody who calls a route in a workspace; nobody when ``user`` is None."""

    user: User | None
    call: Call
    workspace: str = MATRIX


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a verdict comes to, for the caller and for the door."""

    user: str | None
    passed: bool
    status: int | None
    error: str
    workspace: str | None
    checks: frozenset[str]
    kinds: frozenset[EffectKind] = frozenset()
    visible: frozenset[str] | None = None
    narrowing: str = ""
    replacement: RequestReplacement | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """One call as one role: by token and by name."""

    by_token: Outcome
    by_name: Outcome


Judgements = Mapping[Entry, Mapping[str, Judged]]


@pytest.fixture(scope="session")
def judgements(server: MlflowServer, cluster: Cluster, holders: Mapping[frozenset[str], User]) -> Judgements:
    """Every route as every role, on objects that are there."""
    with model_provider() as provider:
        studio = Studio(_asking(server, cluster.people.root), MATRIX, server.database, provider.url)
        roles = {entry: _roles(entry, studio, cluster.people, holders=holders) for entry in UNPREFIXED}
    with delegation(cluster.plane):
        return asyncio.run(_judge_all(server, cluster, roles))


@pytest.mark.parametrize("entry", UNPREFIXED, ids=name_of)
def test_a_name_is_judged_as_the_token_of_the_same_user(judgements: Judgements, entry: Entry) -> None:
    for role, judged in judgements[entry].items():
        assert judged.by_name == judged.by_token, role


@pytest.mark.parametrize("entry", UNPREFIXED, ids=name_of)
def test_who_may_what(judgements: Judgements, entry: Entry) -> None:
    """Without a right nothing passes that needs one; with exactly the right it does."""
    by_name = {role: judged.by_name for role, judged in judgements[entry].items()}
    match entry.route.policy:
        case Public():
            assert all(outcome.passed for outcome in by_name.values())
        case Refused():
            assert not any(outcome.passed for outcome in by_name.values())
        case AnyRight(listing=True):
            assert by_name["mallory"].visible == frozenset()
            assert by_name["holder"].visible == frozenset({MATRIX})
        case AnyRight() | Guarded():
            refused = [by_name[role] for role in ("mallory", "mallory elsewhere", "carol")]
            assert [outcome.status for outcome in refused] == [403] * 3, refused
            assert by_name["holder"].passed
            assert by_name["holder"].user == judgements[entry]["holder"].by_token.user
    if not isinstance(entry.route.policy, Public):
        assert by_name["nobody"].status == 401


def test_every_route_was_judged_as_every_role(judgements: Judgements) -> None:
    assert judgements.keys() == set(UNPREFIXED)
    everywhere = {"nobody", "mallory", "mallory elsewhere", "carol", "otto", "root"}
    assert all(everywhere <= roles.keys() for roles in judgements.values())


def test_a_server_without_the_right_decides_nothing(server: MlflowServer, cluster: Cluster) -> None:
    """Given no right to review others, then a caller without a token gets an error, and no decision."""

    async def judge() -> Outcome:
        async with pipelines(server, cluster) as judges:
            return await _outcome(judges.by_name, _search(cluster.people.root))

    outcome = asyncio.run(judge())
    assert (outcome.passed, outcome.status) == (False, 503)


def test_an_unknown_kind_of_credential_is_never_allowed(server: MlflowServer, cluster: Cluster) -> None:
    """Given a credential of a kind that no reviewer asks for, then even root gets no decision."""

    async def judge() -> None:
        async with pipelines(server, cluster) as judges:
            await _outcome(judges.of_unknown_kind, _search(cluster.people.root))

    with pytest.raises(TypeError, match="no reviewer asks for a caller with a credential of type Unknown"):
        asyncio.run(judge())


def _search(user: User) -> AccessRequest:
    entry = next(entry for entry in UNPREFIXED if (entry.method, entry.path) == ("GET", SEARCH))
    return _request(entry, Role(user, Call()), asserted=True)


def _roles(
    entry: Entry, studio: Studio, people: People, *, holders: Mapping[frozenset[str], User]
) -> Mapping[str, Role]:
    """Those of ``test_every_route``, each with a call on objects that are there."""
    callable_here = not isinstance(entry.route.policy, Refused) and has(USUAL, entry.route)
    call = Call() if not callable_here else RECIPES[entry.route.operation].make(studio)
    roles = {
        "nobody": Role(None, call),
        "mallory": Role(people.mallory, call),
        "mallory elsewhere": Role(people.mallory, elsewhere(call), ABSENT),
        "carol": Role(people.carol, call),
        "otto": Role(people.otto, call),
        "root": Role(people.root, call),
    }
    if held := frozenset(needed(entry)):
        roles["holder"] = Role(holders[held], call)
    if entry.route.operation in MINIMAL:
        minimal = MINIMAL[entry.route.operation].make(studio)
        roles["minimal"] = Role(holders[frozenset(needed(entry, MINIMAL))], minimal)
    return roles


def _asking(server: MlflowServer, root: User) -> Ask:
    def ask(
        method: str,
        path: str,
        *,
        json_body: object = None,
        body: bytes | None = None,
        headers: Headers = (),
    ) -> Answer:
        return server.ask(
            method,
            path,
            token=root.token,
            workspace=MATRIX,
            headers=headers,
            json_body=json_body,
            body=body,
        )

    return ask


async def _judge_all(
    server: MlflowServer, cluster: Cluster, roles: Mapping[Entry, Mapping[str, Role]]
) -> Judgements:
    gate = asyncio.Semaphore(AT_ONCE)
    async with pipelines(server, cluster) as judges:

        async def judge(entry: Entry, role: Role) -> Judged:
            async with gate:
                return Judged(
                    by_token=await _outcome(judges.by_token, _request(entry, role, asserted=False)),
                    by_name=await _outcome(judges.by_name, _request(entry, role, asserted=True)),
                )

        async with asyncio.TaskGroup() as group:
            tasks = {
                entry: {name: group.create_task(judge(entry, role)) for name, role in each.items()}
                for entry, each in roles.items()
            }
    return {entry: {name: task.result() for name, task in done.items()} for entry, done in tasks.items()}


def _request(entry: Entry, role: Role, *, asserted: bool) -> AccessRequest:
    target, own, content = request_of(entry.method, entry.path, role.call)
    headers = [(name.lower().encode(), value.encode()) for name, value in own.items()]
    headers += [
        (b"content-length", str(len(content or b"")).encode()),
        (WORKSPACE.lower().encode(), role.workspace.encode()),
    ]
    if (user := role.user) is not None:
        authenticated = [user.name, *user.groups, "system:authenticated"]
        by_name = (ASSERTED, json.dumps(authenticated).encode())
        headers.append(by_name if asserted else (b"authorization", f"Bearer {user.token}".encode()))
    url = urlsplit(target)
    return AccessRequest(
        method=entry.method,
        path=unquote(url.path),
        headers=headers,
        query=url.query.encode(),
        body=GivenBody(content or b""),
    )


async def _outcome(pipeline: Pipeline, request: AccessRequest) -> Outcome:
    verdict = await pipeline.judge(request)
    findings, error = verdict.findings, verdict.error
    outcome = Outcome(
        user=findings.caller.user.username if findings.caller else None,
        passed=verdict.passed,
        status=None if error is None else error.status,
        error="" if error is None else f"{type(error).__name__}: {error.message}",
        workspace=findings.workspace,
        checks=frozenset(f"{check.attributes} {check.decision.outcome}" for check in findings.checks),
    )
    if isinstance(verdict, Refuse):
        return outcome
    effects = verdict.effects
    return replace(
        outcome,
        kinds=effects.kinds,
        visible=effects.visible,
        narrowing=str(effects.narrowing.record()) if effects.narrowing else "",
        replacement=effects.replacement,
    )
