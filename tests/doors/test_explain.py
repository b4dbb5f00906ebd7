"""A dry run says what each step came to, and nothing that the caller could not see."""

from __future__ import annotations

import pytest

from tests.harness.fakes import NO, ScriptedReviews
from tests.pipeline.routes import REASON, pipeline_over
from workspace_authz.doors.explain import Explanation, explain, lines
from workspace_authz.mlflow_adapter.reading.request import AccessRequest, GivenBody

TOKEN = (b"authorization", b"Bearer alice-token")
TEAM_A = (b"x-mlflow-workspace", b"team-a")


async def explained(
    method: str,
    path: str,
    *headers: tuple[bytes, bytes],
    body: bytes = b"",
    reviews: ScriptedReviews | None = None,
) -> Explanation:
    request = AccessRequest(method, path, headers=headers, body=GivenBody(body))
    return await explain(pipeline_over(reviews or ScriptedReviews()), request)


async def test_what_would_pass() -> None:
    explanation = await explained("GET", "/search", TOKEN, TEAM_A)

    document = explanation.document()
    assert explanation.status == document["status"] == 200
    assert (document["decision"], document["user"], document["workspace"]) == ("allow", "alice", "team-a")
    assert document["rule"] == ["list experiments"]
    (check,) = document["checks"]
    assert (check["verb"], check["resource"], check["decision"]) == ("list", "experiments", "allow")


async def test_what_would_be_refused_and_by_which_question() -> None:
    reviews = ScriptedReviews()
    reviews.may_answer = NO

    text = "\n".join(lines((await explained("GET", "/search", TOKEN, TEAM_A, reviews=reviews)).document()))

    assert "check      list experiments in team-a: no-opinion (review)" in text
    assert "verdict    deny (403)" in text
    assert 'reason     experiments.mlflow.kubeflow.org is forbidden: User "alice" cannot list' in text


@pytest.mark.parametrize(
    ("method", "path", "status", "rule"),
    [
        ("GET", "/public", 200, "public"),
        ("GET", "/known", 200, "authenticated: It reveals nothing."),
        ("POST", "/refused", 403, f"refused: {REASON}"),
        ("GET", "/nowhere", 404, "no rule covers this request"),
    ],
)
async def test_the_rule_of_every_kind_of_route(method: str, path: str, status: int, rule: str) -> None:
    explanation = await explained(method, path, TOKEN)

    assert explanation.status == status
    assert explanation.document()["rule"] == [rule]
    assert f"rule       {rule}" in lines(explanation.document())


async def test_a_listing_shows_what_would_be_visible() -> None:
    explanation = await explained("GET", "/workspaces", TOKEN)

    assert explanation.document()["visible"] == []
    assert "visible    no workspace" in lines(explanation.document())


async def test_a_body_decides_about_conditional_requirements() -> None:
    without = await explained("POST", "/link", TOKEN, TEAM_A, body=b"{}")
    naming = await explained("POST", "/link", TOKEN, TEAM_A, body=b'{"dataset_id": "d-1"}')

    assert [check["resource"] for check in without.document()["checks"]] == ["experiments"]
    assert [check["resource"] for check in naming.document()["checks"]] == ["experiments", "datasets"]


async def test_no_token_is_shown() -> None:
    explanation = await explained("GET", "/search", TOKEN, TEAM_A)

    assert "alice-token" not in repr(explanation) + str(explanation.document())
