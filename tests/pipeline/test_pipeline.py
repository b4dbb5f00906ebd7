"""The five questions in their order, and what each answer comes to."""

from __future__ import annotations

import asyncio

import pytest

from tests.harness.fakes import NO, YES, ScriptedReviews
from tests.pipeline.routes import REASON, KnownWorkspaces, pipeline_over
from workspace_authz.errors import (
    BadRequestError,
    ForbiddenError,
    MisconfiguredError,
    RequestError,
    UnauthenticatedError,
    UnavailableError,
    UnknownRouteError,
)
from workspace_authz.kubernetes.reviews import ResourceRule, RulesAnswer
from workspace_authz.mlflow_adapter.reading.request import AccessRequest, GivenBody
from workspace_authz.pipeline import pipeline as pipeline_module
from workspace_authz.pipeline.pipeline import Pipeline
from workspace_authz.pipeline.verdict import Pass, Verdict, reason, record
from workspace_authz.types import Resource, Verb
from workspace_authz.workspaces.requested import WorkspaceRule

TOKEN = (b"authorization", b"Bearer alice-token")
TEAM_A = (b"x-mlflow-workspace", b"team-a")


@pytest.fixture
def workspaces() -> KnownWorkspaces:
    return KnownWorkspaces()


@pytest.fixture
def pipeline(reviews: ScriptedReviews, workspaces: KnownWorkspaces) -> Pipeline:
    return pipeline_over(reviews, workspaces=workspaces)


async def judged(
    pipeline: Pipeline, method: str, path: str, *headers: tuple[bytes, bytes], body: bytes = b""
) -> Verdict:
    verdict = await pipeline.judge(AccessRequest(method, path, headers=headers, body=GivenBody(body)))
    assert verdict.passed is (verdict.error is None)
    return verdict


def asked(verdict: Verdict) -> list[str]:
    questions = [check.attributes for check in verdict.findings.checks]
    return [f"{question.verb} {question.qualified_resource}" for question in questions]


def visible(verdict: Verdict) -> frozenset[str] | None:
    assert isinstance(verdict, Pass)
    return verdict.effects.visible


def nothing_was_asked(reviews: ScriptedReviews) -> bool:
    return not (reviews.tokens or reviews.questions or reviews.namespaces)


@pytest.mark.parametrize("headers", [(), (TOKEN, TEAM_A), ((b"authorization", b"Bearer a b"),)])
async def test_a_public_route_asks_nothing_and_looks_at_no_credential(
    pipeline: Pipeline, reviews: ScriptedReviews, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    verdict = await judged(pipeline, "GET", "/public", *headers)
    assert verdict.passed
    assert reason(verdict) == "public"
    assert verdict.findings.caller is None
    assert verdict.findings.workspace is None
    assert nothing_was_asked(reviews)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/known"),
        ("POST", "/refused"),
        ("GET", "/search"),
        ("GET", "/workspaces"),
        ("PUT", "/no/such"),
    ],
)
async def test_without_a_credential_every_other_route_says_the_same(
    pipeline: Pipeline, reviews: ScriptedReviews, method: str, path: str
) -> None:
    verdict = await judged(pipeline, method, path, TEAM_A)
    assert isinstance(verdict.error, UnauthenticatedError)
    plain = await judged(pipeline, "GET", "/search")
    assert verdict.error.message == reason(plain)
    assert nothing_was_asked(reviews)


async def test_a_rejected_token_ends_the_way(pipeline: Pipeline, reviews: ScriptedReviews) -> None:
    reviews.who_answer = UnauthenticatedError("bad")
    verdict = await judged(pipeline, "GET", "/search", TOKEN, TEAM_A)
    assert isinstance(verdict.error, UnauthenticatedError)
    assert verdict.findings.checks == ()


async def test_an_unknown_route_is_refused_after_authentication(
    pipeline: Pipeline, reviews: ScriptedReviews
) -> None:
    verdict = await judged(pipeline, "GET", "/no/such", TOKEN, TEAM_A)
    assert isinstance(verdict.error, UnknownRouteError)
    assert "GET /no/such" in reason(verdict)
    assert reviews.questions == []


async def test_a_refused_route_gives_its_reason(pipeline: Pipeline) -> None:
    verdict = await judged(pipeline, "POST", "/refused", TOKEN)
    assert isinstance(verdict.error, ForbiddenError)
    assert reason(verdict) == REASON


async def test_an_authenticated_route_needs_a_known_caller_and_no_workspace(
    pipeline: Pipeline, reviews: ScriptedReviews
) -> None:
    verdict = await judged(pipeline, "GET", "/known", TOKEN)
    assert verdict.passed
    assert verdict.findings.workspace is None
    assert reviews.questions == []


async def test_a_guarded_route_asks_in_the_requested_workspace(
    pipeline: Pipeline, workspaces: KnownWorkspaces
) -> None:
    verdict = await judged(pipeline, "GET", "/search", TOKEN, TEAM_A)
    assert verdict.passed
    assert verdict.findings.workspace == "team-a"
    assert asked(verdict) == ["list experiments"]
    assert verdict.findings.checks[0].attributes.namespace == "team-a"
    assert workspaces.looked_up == ["team-a"]


async def test_who_is_denied_learns_nothing_about_the_namespace(
    pipeline: Pipeline, reviews: ScriptedReviews, workspaces: KnownWorkspaces
) -> None:
    reviews.may_answer = NO
    verdict = await judged(pipeline, "GET", "/search", TOKEN, TEAM_A)
    assert isinstance(verdict.error, ForbiddenError)
    assert workspaces.looked_up == []  # not even by how long the answer takes


async def test_a_request_without_a_workspace_is_a_400(pipeline: Pipeline, reviews: ScriptedReviews) -> None:
    verdict = await judged(pipeline, "GET", "/search", TOKEN)
    assert isinstance(verdict.error, BadRequestError)
    assert reviews.questions == []


async def test_equal_requirements_are_asked_once_and_absent_ones_not(pipeline: Pipeline) -> None:
    assert asked(await judged(pipeline, "POST", "/link", TOKEN, TEAM_A, body=b"{}")) == ["update experiments"]
    named = await judged(pipeline, "POST", "/link", TOKEN, TEAM_A, body=b'{"dataset_id": "d"}')
    assert asked(named) == ["update experiments", "get datasets"]


async def test_the_first_no_ends_the_way(pipeline: Pipeline, reviews: ScriptedReviews) -> None:
    reviews.may_answer = lambda question: NO if question.verb is Verb.UPDATE else YES
    verdict = await judged(pipeline, "POST", "/link", TOKEN, TEAM_A, body=b'{"dataset_id": "d"}')
    assert asked(verdict) == ["update experiments"]
    assert "cannot update" in reason(verdict)


async def test_every_requirement_must_be_allowed(pipeline: Pipeline, reviews: ScriptedReviews) -> None:
    reviews.may_answer = lambda question: NO if question.resource is Resource.DATASETS else YES
    verdict = await judged(pipeline, "POST", "/link", TOKEN, TEAM_A, body=b'{"dataset_id": "d"}')
    assert isinstance(verdict.error, ForbiddenError)
    assert "cannot get" in reason(verdict)


async def test_a_guarded_route_to_which_nothing_applies_is_refused(
    pipeline: Pipeline, reviews: ScriptedReviews
) -> None:
    verdict = await judged(pipeline, "POST", "/maybe", TOKEN, TEAM_A, body=b"{}")
    assert isinstance(verdict.error, ForbiddenError)
    assert reviews.questions == []


def some_right() -> RulesAnswer:
    rule = ResourceRule(
        verbs=frozenset({"get"}),
        groups=frozenset({"mlflow.kubeflow.org"}),
        resources=frozenset({"datasets"}),
        names=frozenset(),
    )
    return RulesAnswer(rules=(rule,), incomplete=False)


async def test_any_right_opens_the_workspace_that_the_path_names(
    pipeline: Pipeline, reviews: ScriptedReviews, workspaces: KnownWorkspaces
) -> None:
    reviews.rules_answer = some_right()
    verdict = await judged(pipeline, "GET", "/workspaces/team-b", TOKEN, TEAM_A)
    assert verdict.passed
    assert verdict.findings.workspace == "team-b"  # and not the header's
    assert reviews.namespaces == ["team-b"]
    assert workspaces.looked_up == ["team-b"]


async def test_any_right_opens_the_workspace_that_the_request_names(
    pipeline: Pipeline, reviews: ScriptedReviews
) -> None:
    assert isinstance((await judged(pipeline, "GET", "/passphrase", TOKEN, TEAM_A)).error, ForbiddenError)
    fresh = pipeline_over(reviews, workspaces=KnownWorkspaces())
    reviews.rules_answer = some_right()
    verdict = await judged(fresh, "GET", "/passphrase", TOKEN, TEAM_A)
    assert verdict.passed
    assert verdict.findings.workspace == "team-a"
    assert isinstance((await judged(fresh, "GET", "/passphrase", TOKEN)).error, BadRequestError)


async def test_no_right_there_is_refused_as_any_other(
    pipeline: Pipeline, reviews: ScriptedReviews, workspaces: KnownWorkspaces
) -> None:
    verdict = await judged(pipeline, "GET", "/workspaces/team-b", TOKEN)
    assert isinstance(verdict.error, ForbiddenError)
    assert 'in the namespace "team-b"' in reason(verdict)
    assert workspaces.looked_up == []


async def test_a_listing_needs_no_workspace_and_shows_those_with_a_right(
    pipeline: Pipeline, reviews: ScriptedReviews
) -> None:
    assert visible(await judged(pipeline, "GET", "/workspaces", TOKEN)) == frozenset()
    fresh = pipeline_over(reviews, workspaces=KnownWorkspaces())
    reviews.rules_answer = some_right()
    verdict = await judged(fresh, "GET", "/workspaces", TOKEN)
    assert visible(verdict) == frozenset({"team-a", "team-b"})
    assert verdict.findings.workspace is None


async def test_without_workspaces_there_is_nothing_to_list_or_look_up(reviews: ScriptedReviews) -> None:
    single = pipeline_over(reviews, rule=WorkspaceRule(single="ml"), workspaces=None)
    assert visible(await judged(single, "GET", "/workspaces", TOKEN)) == frozenset()
    verdict = await judged(single, "GET", "/search", TOKEN)
    assert verdict.findings.workspace == "ml"


@pytest.mark.parametrize(
    "error", [UnavailableError("down"), MisconfiguredError("forbidden"), UnauthenticatedError("gone")]
)
async def test_a_review_that_fails_is_no_decision(
    pipeline: Pipeline, reviews: ScriptedReviews, error: RequestError
) -> None:
    reviews.may_answer = error
    verdict = await judged(pipeline, "GET", "/search", TOKEN, TEAM_A)
    assert verdict.error is error
    assert verdict.findings.checks == ()
    assert record(verdict)["decision"] == ("error" if error.status == 503 else "deny")


async def test_a_look_up_that_fails_is_no_pass(pipeline: Pipeline, workspaces: KnownWorkspaces) -> None:
    workspaces.error = UnavailableError("down")
    verdict = await judged(pipeline, "GET", "/search", TOKEN, TEAM_A)
    assert verdict.error is workspaces.error


async def test_a_verdict_that_takes_too_long_is_a_503(
    pipeline: Pipeline, reviews: ScriptedReviews, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_module, "DEADLINE_SECONDS", 0.05)
    reviews.hold()
    verdict = await judged(pipeline, "GET", "/search", TOKEN, TEAM_A)
    assert isinstance(verdict.error, UnavailableError)
    reviews.release()


async def test_a_slow_upload_takes_nothing_of_that_time(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow:
        @property
        def limit(self) -> int:
            return 1000

        async def read(self, at_most: int | None = None) -> bytes | None:
            await asyncio.sleep(1.2)
            return b'{"dataset_id": "d"}'

    monkeypatch.setattr(pipeline_module, "DEADLINE_SECONDS", 1.0)
    request = AccessRequest("POST", "/maybe", headers=(TOKEN, TEAM_A), body=Slow())
    assert (await pipeline.judge(request)).passed


async def test_on_a_gateway_route_the_gateways_own_header_counts(
    pipeline: Pipeline, reviews: ScriptedReviews
) -> None:
    headers = (
        (b"authorization", b"Bearer provider-key"),
        (b"x-mlflow-authorization", b"Bearer alice-token"),
        TEAM_A,
    )
    verdict = await judged(pipeline, "POST", "/gateway/invoke", *headers)
    assert verdict.passed
    assert isinstance(verdict, Pass)
    assert verdict.effects.headers.keeps_authorization
    assert set(reviews.tokens) == {"alice-token"}
    assert asked(verdict) == ["create gatewayendpoints/use"]


async def test_the_record_holds_what_was_asked_and_no_token(pipeline: Pipeline) -> None:
    verdict = await judged(pipeline, "GET", "/search", TOKEN, TEAM_A)
    assert record(verdict) == {
        "user": "alice",
        "workspace": "team-a",
        "route": "/search",
        "operation": "Search",
        "checks": [
            {
                "verb": "list",
                "resource": "experiments",
                "namespace": "team-a",
                "decision": "allow",
                "source": "review",
            }
        ],
        "decision": "allow",
        "reason": "",
    }
    assert "alice-token" not in repr(verdict)
