"""The settings of a proxy, joined: who is named is reviewed by name, and MLflow gets to see nothing of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.fakes import ScriptedReviews, ScriptedSubjectReviews
from workspace_authz.catalog.compile import compile_catalog
from workspace_authz.errors import UnauthenticatedError
from workspace_authz.mlflow_adapter.reading.request import AccessRequest
from workspace_authz.pipeline.pipeline import Pipeline
from workspace_authz.pipeline.verdict import Pass, Verdict
from workspace_authz.runtime.pipeline import ClusterParts, build_pipeline
from workspace_authz.settings.settings import load_settings
from workspace_authz.types import UserInfo
from workspace_authz.workspaces.requested import WorkspaceRule

SECRET = "s" * 32
NAMED = [
    (b"x-corp-user", b"alice"),
    (b"x-corp-groups", b"team;admins"),
    (b"x-corp-proof", SECRET.encode()),
    (b"x-corp-token", b"of-the-proxy"),
    (b"x-harmless", b"kept"),
]
SEARCH, PUBLIC = "/api/2.0/mlflow/experiments/search", "/version"


@pytest.fixture
def subjects() -> ScriptedSubjectReviews:
    return ScriptedSubjectReviews()


@pytest.fixture
def pipeline(tmp_path: Path, reviews: ScriptedReviews, subjects: ScriptedSubjectReviews) -> Pipeline:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    settings = load_settings(
        authorization_mode="subject_access_review",
        remote_user_header="X-Corp-User",
        remote_groups_header="X-Corp-Groups",
        remote_groups_separator=";",
        remote_user_prefix="corp:",
        remote_groups_prefix="corp-",
        proxy_secret_file=str(secret),
        proxy_secret_header="X-Corp-Proof",
        proxy_service_accounts="istio-system/gateway",
        proxy_token_header="X-Corp-Token",
    )
    reviews.who_answer = UserInfo("system:serviceaccount:istio-system:gateway")
    return build_pipeline(
        ClusterParts(reviews, subject_reviews=subjects),
        settings=settings,
        catalog=compile_catalog(),
        rule=WorkspaceRule(single="team-a"),
    )


async def judged(pipeline: Pipeline, path: str, headers: list[tuple[bytes, bytes]]) -> Verdict:
    return await pipeline.judge(AccessRequest("GET", path, headers=headers))


async def test_who_is_named_is_reviewed_by_name(pipeline: Pipeline, subjects: ScriptedSubjectReviews) -> None:
    verdict = await judged(pipeline, SEARCH, NAMED)
    alice = UserInfo("corp:alice", groups=("corp-team", "corp-admins", "system:authenticated"))
    assert verdict.findings.caller is not None
    assert (verdict.findings.caller.user, subjects.users) == (alice, [alice])


@pytest.mark.parametrize("path", [SEARCH, PUBLIC, "/gateway/mlflow/v1/models"])
async def test_mlflow_sees_neither_names_nor_proofs(pipeline: Pipeline, path: str) -> None:
    """Given any spelling, on public routes, too."""
    folded = [(name.replace(b"-", b"_"), value) for name, value in NAMED]
    verdict = await judged(pipeline, path, [*NAMED, *folded] if path == PUBLIC else NAMED)
    assert isinstance(verdict, Pass), verdict
    left = {name.replace(b"_", b"-") for name, _ in verdict.effects.headers.applied([*NAMED, *folded])}
    assert left == {b"x-harmless"}


async def test_nobody_else_names_anybody(pipeline: Pipeline, subjects: ScriptedSubjectReviews) -> None:
    verdict = await judged(pipeline, SEARCH, NAMED[:2])
    assert isinstance(verdict.error, UnauthenticatedError)
    assert "believed only from a proxy" in verdict.error.message
    verdict = await judged(pipeline, SEARCH, [])
    assert isinstance(verdict.error, UnauthenticatedError)
    assert "names the caller in X-Corp-User" in verdict.error.message
    assert subjects.users == []
