"""Every request to a route of ours leaves one audit record, whatever becomes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.doors.doors import TEAM_A, TOKEN, beyond, call
from tests.harness.fakes import Records, ScriptedReviews
from tests.pipeline.routes import pipeline_over
from workspace_authz.doors.explain_route import EXPLAIN_PATH, ExplainMiddleware
from workspace_authz.doors.metrics import MetricsMiddleware
from workspace_authz.errors import UnauthenticatedError, UnavailableError
from workspace_authz.runtime.runtime import Runtime

SEARCH = json.dumps({"method": "GET", "path": "/search"}).encode()


@pytest.fixture
def audit() -> Records:
    return Records()


@pytest.fixture
def explaining(reviews: ScriptedReviews, audit: Records) -> ExplainMiddleware:
    runtime = Runtime(pipeline_over(reviews), audit, body_bytes=1, directory=None)
    return ExplainMiddleware(beyond, static_prefix="", runtime=lambda: runtime)


def told(audit: Records) -> Any:
    (record,) = audit.kept
    return [record[key] for key in ("method", "path", "user", "decision", "status")]


async def test_of_one_that_is_answered(explaining: ExplainMiddleware, audit: Records) -> None:
    await call(explaining, "POST", EXPLAIN_PATH, TOKEN, TEAM_A, body=SEARCH)
    assert told(audit) == ["POST", EXPLAIN_PATH, "alice", "allow", 200]
    # What was asked about is not what was done.
    assert (audit.kept[0]["operation"], audit.kept[0]["checks"]) == (None, [])


async def test_of_one_that_is_refused(
    explaining: ExplainMiddleware, reviews: ScriptedReviews, audit: Records
) -> None:
    reviews.who_answer = UnauthenticatedError("No.")
    await call(explaining, "POST", EXPLAIN_PATH, TOKEN, body=SEARCH)
    assert told(audit) == ["POST", EXPLAIN_PATH, None, "deny", 401]
    assert "alice-token" not in json.dumps(audit.kept)


async def test_of_one_that_nobody_could_decide(
    explaining: ExplainMiddleware, reviews: ScriptedReviews, audit: Records
) -> None:
    reviews.who_answer = UnavailableError("Away.")
    await call(explaining, "POST", EXPLAIN_PATH, TOKEN, body=SEARCH)
    assert told(audit) == ["POST", EXPLAIN_PATH, None, "error", 503]


async def test_of_one_that_breaks(
    explaining: ExplainMiddleware, reviews: ScriptedReviews, audit: Records
) -> None:
    reviews.who_answer = RuntimeError("A bug.")
    with pytest.raises(RuntimeError):
        await call(explaining, "POST", EXPLAIN_PATH, TOKEN, body=SEARCH)
    assert told(audit) == ["POST", EXPLAIN_PATH, None, "error", None]


async def test_of_a_scrape(reviews: ScriptedReviews, audit: Records) -> None:
    runtime = Runtime(pipeline_over(reviews), audit, body_bytes=1, directory=None)
    app = MetricsMiddleware(beyond, static_prefix="/mlflow", runtime=lambda: runtime)
    await call(app, "GET", "/mlflow/metrics", TOKEN)
    assert told(audit) == ["GET", "/mlflow/metrics", None, "deny", 404]


async def test_of_what_is_not_ours_none(explaining: ExplainMiddleware, audit: Records) -> None:
    await call(explaining, "GET", EXPLAIN_PATH, TOKEN)
    assert audit.kept == []


async def test_before_the_server_has_started_the_answer_is_503() -> None:
    def starting() -> Runtime:
        raise UnavailableError("Starting.")

    app = ExplainMiddleware(beyond, static_prefix="", runtime=starting)
    assert (await call(app, "POST", EXPLAIN_PATH, TOKEN)).status == 503
