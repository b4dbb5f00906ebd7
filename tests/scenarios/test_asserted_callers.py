"""Callers about whom the server asks: the verdicts are those for the same user with an API token.

That holds on every route of the catalog, for who is named by a proxy's headers, for who has signed in with a
browser, and for service accounts with a token for an audience of the server. Each kind is judged by a
pipeline of its own, so no cached answer of the one helps the other. With a token for the API server that is
asked by the caller (SelfSubjectAccessReview), otherwise by the server's own account (SubjectAccessReview).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

import pytest

from tests.harness.http import Answer, Headers
from tests.harness.plane import User
from tests.harness.provider import model_provider
from tests.harness.releases import USUAL, has
from tests.harness.server import WORKSPACE, MlflowServer
from tests.scenarios.asserted import (
    ASSERTED,
    Header,
    delegation,
    given_accounts,
    named,
    pipelines,
    token_of,
)
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
from workspace_authz.errors import RequestError
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
    """One call as one role: by a token for the API server, and in the other way."""

    by_token: Outcome
    otherwise: Outcome


HEADERS, BY_AUDIENCE, BY_SESSION = "headers of a proxy", "token for an audience", "session of a browser"
KINDS = (HEADERS, BY_AUDIENCE, BY_SESSION)
Judgements = Mapping[str, Mapping[Entry, Mapping[str, Judged]]]
"""By kind, route and role."""
Present = Callable[[User], list[Header]]


@pytest.fixture(scope="session")
def judgements(server: MlflowServer, cluster: Cluster, holders: Mapping[frozenset[str], User]) -> Judgements:
    """Every route as every role, on objects that are there."""
    people = cluster.people
    accounts = given_accounts(cluster.plane, people, holders)
    # Root is so by a group that no proxy may assert.
    admin = people.holders[-1]
    cluster.plane.bind(MATRIX, "admin", user=admin.name)
    cluster.plane.wait_for_access(admin.token, MATRIX, verb="create", resource="gatewaybudgets")
    nameable = replace(people, root=admin)
    with model_provider() as provider:
        studio = Studio(_asking(server, people.root), MATRIX, server.database, provider.url)
        calls = {entry: _calls(entry, studio) for entry in UNPREFIXED}
    by_name = {entry: _roles(entry, each, nameable, holders=holders) for entry, each in calls.items()}
    roles = {
        HEADERS: by_name,
        BY_SESSION: by_name,
        BY_AUDIENCE: {
            entry: _roles(entry, each, accounts.people, holders=accounts.holders)
            for entry, each in calls.items()
        },
    }
    with delegation(cluster.plane):
        return asyncio.run(_judge_all(server, cluster, roles, tokens=accounts.tokens))


@pytest.mark.parametrize("entry", UNPREFIXED, ids=name_of)
def test_they_are_judged_as_the_same_user_with_a_token(judgements: Judgements, entry: Entry) -> None:
    for kind in KINDS:
        for role, judged in judgements[kind][entry].items():
            assert judged.otherwise == judged.by_token, (kind, role)


@pytest.mark.parametrize("entry", UNPREFIXED, ids=name_of)
def test_who_may_what(judgements: Judgements, entry: Entry) -> None:
    """Without a right nothing passes that needs one; with exactly the right it does."""
    for kind in KINDS:
        then_only_the_holder_may(entry, judgements[kind][entry])


def then_only_the_holder_may(entry: Entry, roles: Mapping[str, Judged]) -> None:
    outcomes = {role: judged.otherwise for role, judged in roles.items()}
    match entry.route.policy:
        case Public():
            assert all(outcome.passed for outcome in outcomes.values())
        case Refused():
            assert not any(outcome.passed for outcome in outcomes.values())
        case AnyRight(listing=True):
            assert outcomes["mallory"].visible == frozenset()
            assert outcomes["holder"].visible == frozenset({MATRIX})
        case AnyRight() | Guarded():
            refused = [outcomes[role] for role in ("mallory", "mallory elsewhere", "carol")]
            assert [outcome.status for outcome in refused] == [403] * 3, refused
            assert outcomes["holder"].passed
            assert outcomes["holder"].user == roles["holder"].by_token.user
    if not isinstance(entry.route.policy, Public):
        assert outcomes["nobody"].status == 401


def test_every_route_was_judged_as_every_role(judgements: Judgements) -> None:
    everywhere = {"nobody", "mallory", "mallory elsewhere", "carol", "otto", "root"}
    for kind in KINDS:
        assert judgements[kind].keys() == set(UNPREFIXED)
        assert all(everywhere <= roles.keys() for roles in judgements[kind].values())


def test_a_server_without_the_right_decides_nothing(server: MlflowServer, cluster: Cluster) -> None:
    """Given no right to review others, then a caller without a token gets an error, and no decision."""

    async def judge() -> Outcome:
        async with pipelines(server, cluster) as judges:
            return await _outcome(judges.by_headers, _search(named(cluster.people.alice)))

    outcome = asyncio.run(judge())
    assert (outcome.passed, outcome.status) == (False, 503)


def test_an_unknown_kind_of_credential_is_never_allowed(server: MlflowServer, cluster: Cluster) -> None:
    """Given a credential of a kind that no reviewer asks for, then even root gets no decision."""

    async def judge() -> None:
        async with pipelines(server, cluster) as judges:
            root = cluster.people.root
            asserted = [(ASSERTED, json.dumps([root.name, *root.groups]).encode())]
            await _outcome(judges.of_unknown_kind, _search(asserted))

    with pytest.raises(TypeError, match="no reviewer asks for a caller with a credential of type Unknown"):
        asyncio.run(judge())


def _search(credential: list[Header]) -> AccessRequest:
    entry = next(entry for entry in UNPREFIXED if (entry.method, entry.path) == ("GET", SEARCH))
    return _request(entry, Role(None, Call()), credential)


@dataclass(frozen=True, slots=True)
class Calls:
    """How a route is called here, on objects that are there."""

    usual: Call
    minimal: Call | None = None
    """Which needs fewer rights; None where there is none."""


def _calls(entry: Entry, studio: Studio) -> Calls:
    callable_here = not isinstance(entry.route.policy, Refused) and has(USUAL, entry.route)
    usual = RECIPES[entry.route.operation].make(studio) if callable_here else Call()
    minimal = MINIMAL.get(entry.route.operation)
    return Calls(usual, minimal.make(studio) if minimal is not None else None)


def _roles(
    entry: Entry, calls: Calls, people: People, *, holders: Mapping[frozenset[str], User]
) -> Mapping[str, Role]:
    """Those of ``test_every_route``."""
    call = calls.usual
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
    if calls.minimal is not None:
        roles["minimal"] = Role(holders[frozenset(needed(entry, MINIMAL))], calls.minimal)
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
    server: MlflowServer,
    cluster: Cluster,
    roles: Mapping[str, Mapping[Entry, Mapping[str, Role]]],
    *,
    tokens: Mapping[str, str],
) -> Judgements:
    """``tokens`` are those for the audience, by user name."""
    async with pipelines(server, cluster) as judges:
        people = {role.user for each in roles[BY_SESSION].values() for role in each.values() if role.user}
        cookies = {user.name: await judges.signed_in(user) for user in people}
        ways: Mapping[str, tuple[Pipeline, Present]] = {
            HEADERS: (judges.by_headers, named),
            BY_SESSION: (judges.by_session, lambda user: cookies[user.name]),
            BY_AUDIENCE: (judges.by_audience, lambda user: token_of(tokens[user.name])),
        }
        return {
            kind: await _judge_kind(judges.by_token, *ways[kind], roles=each) for kind, each in roles.items()
        }


async def _judge_kind(
    by_token: Pipeline, pipeline: Pipeline, present: Present, *, roles: Mapping[Entry, Mapping[str, Role]]
) -> Mapping[Entry, Mapping[str, Judged]]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def judge(entry: Entry, role: Role) -> Judged:
        user = role.user
        async with gate:
            token = [] if user is None else token_of(user.token)
            otherwise = [] if user is None else present(user)
            return Judged(
                by_token=await _outcome(by_token, _request(entry, role, token)),
                otherwise=await _outcome(pipeline, _request(entry, role, otherwise)),
            )

    async with asyncio.TaskGroup() as group:
        tasks = {
            entry: {name: group.create_task(judge(entry, role)) for name, role in each.items()}
            for entry, each in roles.items()
        }
    return {entry: {name: task.result() for name, task in done.items()} for entry, done in tasks.items()}


def _request(entry: Entry, role: Role, credential: list[Header]) -> AccessRequest:
    target, own, content = request_of(entry.method, entry.path, role.call)
    headers = [(name.lower().encode(), value.encode()) for name, value in own.items()]
    headers += [
        (b"content-length", str(len(content or b"")).encode()),
        (WORKSPACE.lower().encode(), role.workspace.encode()),
        *credential,
    ]
    url = urlsplit(target)
    return AccessRequest(
        method=entry.method,
        path=unquote(url.path),
        headers=headers,
        query=url.query.encode(),
        body=GivenBody(content or b""),
    )


def _said(error: RequestError) -> str:
    """What the caller reads; of a 401 without the advice, which depends on what the server accepts."""
    text = error.message.partition(". ")[0] if error.status == 401 else error.message
    return f"{type(error).__name__}: {text}"


async def _outcome(pipeline: Pipeline, request: AccessRequest) -> Outcome:
    verdict = await pipeline.judge(request)
    findings, error = verdict.findings, verdict.error
    outcome = Outcome(
        user=findings.caller.user.username if findings.caller else None,
        passed=verdict.passed,
        status=None if error is None else error.status,
        error="" if error is None else _said(error),
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
