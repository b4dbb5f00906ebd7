"""A caller whom nobody knows yet: who they are and what they may are asked together, once."""

from __future__ import annotations

import asyncio

import pytest

from tests.harness.fakes import NO, ScriptedReviews, run_pending
from tests.pipeline.routes import KnownWorkspaces, pipeline_over
from workspace_authz.errors import ForbiddenError, RequestError, UnauthenticatedError, UnavailableError
from workspace_authz.kubernetes.reviews import ResourceRule, RulesAnswer
from workspace_authz.mlflow_adapter.reading.request import AccessRequest
from workspace_authz.pipeline.pipeline import Pipeline
from workspace_authz.pipeline.verdict import Verdict
from workspace_authz.types import API_GROUP, UserInfo
from workspace_authz.workspaces.requested import WorkspaceRule

TOKEN = (b"authorization", b"Bearer alice-token")
TEAM_A = (b"x-mlflow-workspace", b"team-a")
RULES = RulesAnswer(
    rules=(
        ResourceRule(
            verbs=frozenset({"get"}),
            groups=frozenset({API_GROUP}),
            resources=frozenset({"experiments"}),
            names=frozenset(),
        ),
    ),
    incomplete=False,
)
IDENTITY, BOTH = ["alice-token"], ["alice-token", "alice-token"]


@pytest.fixture
def pipeline(reviews: ScriptedReviews) -> Pipeline:
    return pipeline_over(reviews, workspaces=KnownWorkspaces())


async def first_asked(
    pipeline: Pipeline,
    reviews: ScriptedReviews,
    path: str,
    *headers: tuple[bytes, bytes],
    method: str = "GET",
) -> tuple[list[str], Verdict]:
    """The tokens of the reviews that are asked before any is answered, and what comes of it."""
    reviews.hold()
    judging = asyncio.create_task(pipeline.judge(AccessRequest(method, path, headers=headers)))
    await run_pending()
    asked = list(reviews.tokens)
    reviews.release()
    return asked, await judging


async def test_identity_and_access_are_asked_together(pipeline: Pipeline, reviews: ScriptedReviews) -> None:
    asked, verdict = await first_asked(pipeline, reviews, "/search", TOKEN, TEAM_A)
    assert asked == BOTH
    assert verdict.passed
    assert reviews.tokens == BOTH  # and never again
    assert [str(check.decision.source) for check in verdict.findings.checks] == ["review"]


async def test_so_are_identity_and_any_right(pipeline: Pipeline, reviews: ScriptedReviews) -> None:
    reviews.rules_answer = RULES
    asked, verdict = await first_asked(pipeline, reviews, "/workspaces/team-a", TOKEN)
    assert asked == BOTH
    assert verdict.passed
    assert reviews.namespaces == ["team-a"]
    assert reviews.tokens == BOTH  # and never again


async def test_where_workspaces_are_listed_the_identity_comes_first(
    pipeline: Pipeline, reviews: ScriptedReviews
) -> None:
    asked, _ = await first_asked(pipeline, reviews, "/workspaces", TOKEN)
    assert asked == IDENTITY


async def test_any_right_prefetched_for_a_rejected_token_lets_nobody_in(
    pipeline: Pipeline, reviews: ScriptedReviews
) -> None:
    reviews.rules_answer = RULES
    reviews.who_answer = UnauthenticatedError("bad")
    _, verdict = await first_asked(pipeline, reviews, "/workspaces/team-a", TOKEN)
    assert isinstance(verdict.error, UnauthenticatedError)


async def test_where_tokens_are_invented_nothing_is_prefetched(
    pipeline: Pipeline, reviews: ScriptedReviews
) -> None:
    reviews.who_answer = UnauthenticatedError("bad")
    flood = [(b"authorization", b"Bearer invented-%d" % number) for number in range(50)]
    for token in flood:
        await pipeline.judge(AccessRequest("GET", "/search", headers=(token, TEAM_A), peer="10.0.0.1"))
    assert len(reviews.questions) == 1
    await pipeline.judge(AccessRequest("GET", "/search", headers=(TOKEN, TEAM_A), peer="10.0.0.2"))
    assert len(reviews.questions) == 2


async def test_many_at_once_ask_once(pipeline: Pipeline, reviews: ScriptedReviews) -> None:
    request = AccessRequest("GET", "/search", headers=(TOKEN, TEAM_A))
    verdicts = await asyncio.gather(*(pipeline.judge(request) for _ in range(50)))
    assert all(verdict.passed for verdict in verdicts)
    assert reviews.tokens == BOTH


async def test_a_prefetched_no_is_a_no(pipeline: Pipeline, reviews: ScriptedReviews) -> None:
    reviews.may_answer = NO
    _, verdict = await first_asked(pipeline, reviews, "/search", TOKEN, TEAM_A)
    assert isinstance(verdict.error, ForbiddenError)
    assert reviews.tokens == BOTH


async def test_a_yes_for_a_rejected_token_lets_nobody_in(
    pipeline: Pipeline, reviews: ScriptedReviews
) -> None:
    reviews.who_answer = UnauthenticatedError("bad")
    _, verdict = await first_asked(pipeline, reviews, "/search", TOKEN, TEAM_A)
    assert isinstance(verdict.error, UnauthenticatedError)
    assert verdict.findings.checks == ()


@pytest.mark.parametrize("error", [UnauthenticatedError("gone"), UnavailableError("down")])
async def test_a_failure_of_either_is_a_failure(
    pipeline: Pipeline, reviews: ScriptedReviews, error: RequestError
) -> None:
    reviews.may_answer = error
    _, verdict = await first_asked(pipeline, reviews, "/search", TOKEN, TEAM_A)
    assert verdict.error is error


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/known", (TEAM_A,)),
        ("POST", "/refused", (TEAM_A,)),
        ("GET", "/no/such", (TEAM_A,)),
        ("GET", "/search", ()),
        ("GET", "/search", ((b"x-mlflow-workspace", b"Not A Namespace"),)),
        ("POST", "/maybe", (TEAM_A,)),
        ("GET", "/workspaces/Not-A-Namespace", (TEAM_A,)),
    ],
)
async def test_where_nothing_is_certain_only_the_identity_is_asked(
    pipeline: Pipeline,
    reviews: ScriptedReviews,
    method: str,
    path: str,
    headers: tuple[tuple[bytes, bytes], ...],
) -> None:
    asked, _ = await first_asked(pipeline, reviews, path, TOKEN, *headers, method=method)
    assert asked == IDENTITY


@pytest.mark.parametrize(
    ("rule", "headers", "asked", "workspace"),
    [
        (WorkspaceRule(default="d"), (), BOTH, "d"),
        (WorkspaceRule(single="one"), (), BOTH, "one"),
        (WorkspaceRule(default="d", service_account=True), (), IDENTITY, "team-b"),
        (
            WorkspaceRule(default="d", service_account=True),
            ((b"x-mlflow-workspace", b" "),),
            IDENTITY,
            "team-b",
        ),
        (WorkspaceRule(default="d", service_account=True), (TEAM_A,), BOTH, "team-a"),
        (WorkspaceRule(single="one", service_account=True), (), BOTH, "one"),
    ],
)
async def test_the_workspace_is_foreseen_where_it_does_not_depend_on_the_caller(
    reviews: ScriptedReviews,
    rule: WorkspaceRule,
    headers: tuple[tuple[bytes, bytes], ...],
    asked: list[str],
    workspace: str,
) -> None:
    reviews.who_answer = UserInfo("system:serviceaccount:team-b:trainer")
    pipeline = pipeline_over(reviews, rule=rule)
    first, verdict = await first_asked(pipeline, reviews, "/search", TOKEN, *headers)
    assert first == asked
    assert verdict.findings.workspace == workspace
    assert reviews.tokens == BOTH


async def test_nothing_is_prefetched_for_a_known_caller(pipeline: Pipeline, reviews: ScriptedReviews) -> None:
    await first_asked(pipeline, reviews, "/known", TOKEN)
    asked, _ = await first_asked(pipeline, reviews, "/search", TOKEN, TEAM_A)
    assert asked == BOTH  # the identity by the first request, the decision by this
    assert reviews.tokens == BOTH
