"""The route ``/metrics``: who is asked about whom, and what goes on to MLflow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import values

from tests.doors.doors import TOKEN, beyond, call
from tests.harness.fakes import NO, Records, ScriptedReviews
from tests.pipeline.routes import pipeline_over
from workspace_authz.doors.metrics import MetricsMiddleware
from workspace_authz.errors import UnavailableError
from workspace_authz.kubernetes.access_reviews import url
from workspace_authz.runtime.metrics_page import MetricsPage
from workspace_authz.runtime.runtime import Runtime
from workspace_authz.telemetry.audit import NoAudit
from workspace_authz.telemetry.prometheus import PrometheusMetrics
from workspace_authz.telemetry.workers import WorkerRegistry


@pytest.fixture
def audit() -> Records:
    return Records()


@pytest.fixture
def app(
    reviews: ScriptedReviews, audit: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> MetricsMiddleware:
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    registry = WorkerRegistry(tmp_path, expected=1, monotonic=lambda: 0.0)
    registry.metrics_directory.mkdir()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(registry.metrics_directory))
    metrics = PrometheusMetrics(0)
    metrics.judged("allow", code="", seconds=0)
    pipeline = pipeline_over(reviews)
    page = MetricsPage(
        identity=pipeline.identity, authorizer=pipeline.authorizer, workers=registry, flush=metrics.flush
    )
    runtime = Runtime(pipeline, audit, body_bytes=1, directory=None, metrics_page=page)
    return MetricsMiddleware(beyond, static_prefix="/mlflow", runtime=lambda: runtime)


@pytest.mark.parametrize("path", ["/metrics", "/mlflow/metrics"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_whoever_may_get_the_url_sees_it(
    app: MetricsMiddleware, reviews: ScriptedReviews, audit: Records, method: str, path: str
) -> None:
    answer = await call(app, method, path, TOKEN)

    assert answer.status == 200
    assert answer.headers[b"cache-control"] == b"no-store"
    assert (b'workspace_authz_request_seconds_count{outcome="allow"} 1.0' in answer.body) is (method == "GET")
    assert reviews.targets == [url("/metrics")]  # also below the prefix
    assert set(reviews.tokens) == {"alice-token"}
    (record,) = audit.kept
    assert (record["user"], record["path"], record["decision"], record["status"]) == (
        "alice",
        path,
        "allow",
        200,
    )


async def test_others_are_refused_and_every_scrape_is_asked_about(
    app: MetricsMiddleware, reviews: ScriptedReviews
) -> None:
    assert (await call(app, "GET", "/metrics")).status == 401
    reviews.get_answer = NO
    refused = await call(app, "GET", "/metrics", TOKEN)
    assert (refused.status, refused.document["error_code"]) == (403, "PERMISSION_DENIED")
    reviews.get_answer = UnavailableError("Away.")
    assert (await call(app, "GET", "/metrics", TOKEN)).status == 503
    assert len(reviews.targets) == 2


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/metrics"), ("GET", "/metrics/"), ("GET", "//metrics"), ("GET", "/x/metrics")],
)
async def test_nothing_else_is_answered(app: MetricsMiddleware, method: str, path: str) -> None:
    assert (await call(app, method, path, TOKEN)).status == 299


async def test_a_process_that_counts_nothing_has_no_page(reviews: ScriptedReviews) -> None:
    runtime = Runtime(pipeline_over(reviews), NoAudit(), body_bytes=1, directory=None)
    app = MetricsMiddleware(beyond, static_prefix="", runtime=lambda: replace(runtime))
    assert (await call(app, "GET", "/metrics", TOKEN)).status == 404
