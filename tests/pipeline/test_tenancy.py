"""The last question of all: is the namespace there, and are the workspace's data its own?"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from tests.harness.fakes import NO, ScriptedReviews
from tests.pipeline.known_objects import KnownObjects
from tests.pipeline.routes import KnownWorkspaces, pipeline_over
from tests.pipeline.world import ABSENT, OWN, SIBLING, V2, World
from workspace_authz.catalog.graphql import FieldCall
from workspace_authz.doors.explain import explain
from workspace_authz.errors import ForbiddenError, MissingError
from workspace_authz.kubernetes.reviews import ResourceRule, RulesAnswer
from workspace_authz.mlflow_adapter.reading.request import AccessRequest, GivenBody
from workspace_authz.pipeline.parts import MLflowAtHand
from workspace_authz.pipeline.pipeline import Pipeline
from workspace_authz.pipeline.verdict import Verdict, reason

CLOSED = ForbiddenError("closed")


@dataclass
class Claims:
    """Writes down what was checked."""

    checked: list[tuple[str, str, bool]] = field(default_factory=list)
    error: ForbiddenError | None = None

    async def check(self, workspace: str, uid: str, *, writes: bool) -> None:
        self.checked.append((workspace, uid, writes))
        if self.error is not None:
            raise self.error


@pytest.fixture
def claims() -> Claims:
    return Claims()


def request(method: str, path: str, workspace: str = "team-a") -> AccessRequest:
    headers = ((b"authorization", b"Bearer alice-token"), (b"x-mlflow-workspace", workspace.encode()))
    return AccessRequest(method, path, headers=headers)


async def judged(
    reviews: ScriptedReviews, claims: Claims, method: str, path: str, workspace: str = "team-a"
) -> Verdict:
    return await guarded(pipeline_over(reviews, workspaces=KnownWorkspaces()), claims).judge(
        request(method, path, workspace)
    )


def guarded(pipeline: Pipeline, claims: Claims) -> Pipeline:
    """The pipeline with ``claims`` in the place of the database's."""
    objects = KnownObjects({})
    mlflow = pipeline.mlflow or MLflowAtHand(objects, objects)
    return replace(pipeline, workspaces=KnownWorkspaces(), mlflow=replace(mlflow, tenancy=claims))


@pytest.mark.parametrize(
    ("method", "path", "writes"),
    [
        ("GET", "/search", [False]),
        ("GET", "/workspaces/team-a", [False]),
        ("POST", "/link", [False, True]),
    ],
)
async def test_every_request_in_a_workspace_is_checked(
    reviews: ScriptedReviews, claims: Claims, method: str, path: str, writes: list[bool]
) -> None:
    rule = ResourceRule(frozenset({"get"}), frozenset({"mlflow.kubeflow.org"}), frozenset({"*"}), frozenset())
    reviews.rules_answer = RulesAnswer(rules=(rule,), incomplete=False)
    assert (await judged(reviews, claims, method, path)).passed
    assert claims.checked == [("team-a", "uid-of-team-a", each) for each in writes]
    claims.error = CLOSED
    assert (await judged(reviews, claims, method, path)).error is CLOSED


async def test_only_who_has_the_right_learns_of_it(reviews: ScriptedReviews, claims: Claims) -> None:
    reviews.may_answer, claims.error = NO, CLOSED
    assert (await judged(reviews, claims, "GET", "/search")).error is not CLOSED
    assert claims.checked == []


@pytest.mark.parametrize("run", [OWN, SIBLING, ABSENT])
@pytest.mark.parametrize("held", ["get experiments fraud", "update experiments", ""])
async def test_nothing_is_looked_up_in_a_closed_workspace(claims: Claims, held: str, run: str) -> None:
    """Neither for a right on a name nor for what is linked besides: no answer depends on what is in it."""
    world, claims.error = World(*filter(None, [held])), CLOSED
    pipeline = guarded(world.pipeline, claims)
    for asked in (
        world.request("GET", f"{V2}/runs/get", query=f"run_id={run}"),
        world.request("POST", "/graphql", query=""),
        world.request("POST", f"{V2}/runs/log-metric", run_id=run, model_id="m-1"),
    ):
        world.objects.calls = [
            FieldCall("Query.mlflowGetRun", True, ("a",), {"input": {"run_id": run}}),
        ]
        verdict = await pipeline.judge(asked)
        assert isinstance(verdict.error, ForbiddenError)
        assert (verdict.error is CLOSED) is bool(held)
        assert run not in reason(verdict)
    assert world.objects.asked == []


async def test_without_a_namespace_mlflow_is_not_asked(reviews: ScriptedReviews, claims: Claims) -> None:
    verdict = await judged(reviews, claims, "GET", "/search", "team-gone")
    assert isinstance(verdict.error, MissingError)
    assert "team-gone" in verdict.error.message
    assert claims.checked == []


async def test_a_dry_run_writes_nothing(reviews: ScriptedReviews, claims: Claims) -> None:
    pipeline = guarded(pipeline_over(reviews), claims)
    assert (await explain(pipeline, request("POST", "/link"))).status == 200
    assert claims.checked == [("team-a", "uid-of-team-a", False)]


@pytest.mark.parametrize("experiment", ["7", "99"])
@pytest.mark.parametrize("held", ["get experiments", "get experiments fraud"])
async def test_a_closed_workspace_is_refused_before_its_artifacts_are_looked_for(
    claims: Claims, held: str, experiment: str
) -> None:
    """Given a closed workspace, when a caller with a right asks for an artifact, then the answer is the same
    for an experiment that exists and one that does not: otherwise 403 against 404 would tell them apart."""
    world, claims.error = World(held), CLOSED
    path = f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/model.pkl"
    verdict = await guarded(world.pipeline, claims).judge(world.request("GET", path))
    assert verdict.error is CLOSED
    assert world.objects.asked == []


async def test_a_refused_request_claims_nothing(claims: Claims) -> None:
    world = World("update experiments")
    pipeline = guarded(world.pipeline, claims)
    refused = replace(world.request("POST", f"{V2}/runs/set-tag"), body=GivenBody(b"[1,2]"))
    assert not (await pipeline.judge(refused)).passed
    assert not any(writes for _, _, writes in claims.checked)
