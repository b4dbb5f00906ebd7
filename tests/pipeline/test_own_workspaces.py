"""Who names no workspace is told which ones they could name, if that can be known."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from tests.harness.fakes import ScriptedReviews
from tests.pipeline.routes import KnownWorkspaces, pipeline_over
from workspace_authz.errors import (
    BadRequestError,
    MisconfiguredError,
    RequestError,
    UnauthenticatedError,
    UnavailableError,
)
from workspace_authz.kubernetes.reviews import ResourceRule, RulesAnswer
from workspace_authz.mlflow_adapter.reading.request import AccessRequest, GivenBody
from workspace_authz.pipeline import own_workspaces
from workspace_authz.pipeline import pipeline as pipeline_module
from workspace_authz.types import API_GROUP
from workspace_authz.workspaces.requested import WorkspaceRule

PLAIN = (
    "This request names no workspace: set MLFLOW_WORKSPACE (header X-MLFLOW-WORKSPACE) to the Kubernetes "
    "namespace you work in, or put it into the server's URL: …/workspaces/<namespace>."
)
RULE = ResourceRule(frozenset({"get"}), frozenset({API_GROUP}), frozenset({"experiments"}), frozenset())


@dataclass
class Named(KnownWorkspaces):
    """As many namespaces as a test wants."""

    all: tuple[str, ...] = ("team-b", "team-a")

    def names(self) -> Iterable[str]:
        return self.all


async def refusal(
    reviews: ScriptedReviews, *names: str, path: str = "/search", header: bytes = b""
) -> RequestError:
    pipeline = pipeline_over(reviews, workspaces=Named(all=names))
    headers = [(b"authorization", b"Bearer alice-token"), (b"x-mlflow-workspace", header)]
    verdict = await pipeline.judge(AccessRequest("GET", path, headers=headers, body=GivenBody(b"")))
    assert verdict.error is not None
    return verdict.error


async def test_those_with_rights_are_named_in_their_order(reviews: ScriptedReviews) -> None:
    reviews.rules_answer = RulesAnswer((RULE,), incomplete=False)
    error = await refusal(reviews, "team-b", "team-a")
    assert (error.status, error.message) == (400, f"{PLAIN} You hold rights in team-a, team-b.")


async def test_who_holds_none_learns_of_none(reviews: ScriptedReviews) -> None:
    assert (await refusal(reviews, "team-a", "team-b")).message == PLAIN


@pytest.mark.parametrize(("count", "more"), [(20, "."), (21, " and 1 more."), (500, " and 480 more.")])
async def test_a_sentence_holds_twenty_at_most(reviews: ScriptedReviews, count: int, more: str) -> None:
    reviews.rules_answer = RulesAnswer((RULE,), incomplete=False)
    names = [f"team-{number:03}" for number in range(count)]
    assert (await refusal(reviews, *names)).message == (
        f"{PLAIN} You hold rights in {', '.join(names[:20])}{more}"
    )


@pytest.mark.parametrize(
    "failure", [UnavailableError("down"), MisconfiguredError("forbidden"), UnauthenticatedError("gone")]
)
async def test_a_look_that_fails_leaves_the_refusal_as_it_is(
    reviews: ScriptedReviews, failure: RequestError
) -> None:
    reviews.rules_answer = failure
    error = await refusal(reviews, "team-a")
    assert (error.status, error.message) == (400, PLAIN)


@pytest.mark.parametrize("bound", ["of its own", "of the verdict"])
async def test_a_look_that_hangs_is_given_up(
    reviews: ScriptedReviews, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    module, name = (
        (own_workspaces, "_SECONDS") if bound == "of its own" else (pipeline_module, "DEADLINE_SECONDS")
    )
    monkeypatch.setattr(module, name, 0.2)

    class Hanging(ScriptedReviews):
        async def rules(self, token: str, namespace: str) -> RulesAnswer:
            await asyncio.sleep(60)
            raise AssertionError

    async with asyncio.timeout(5):
        error = await refusal(Hanging(), "team-a")
    assert (error.status, error.message) == (400, PLAIN)


async def test_another_malformed_request_is_told_nothing_of_workspaces(reviews: ScriptedReviews) -> None:
    reviews.rules_answer = RulesAnswer((RULE,), incomplete=False)
    error = await refusal(reviews, "team-a", header=b"No_Namespace")
    assert isinstance(error, BadRequestError)
    assert "team-a" not in error.message
    assert reviews.namespaces == []


async def test_nothing_is_looked_for_where_a_workspace_is_implied(reviews: ScriptedReviews) -> None:
    pipeline = pipeline_over(reviews, rule=WorkspaceRule(default="team-a"), workspaces=Named())
    headers = [(b"authorization", b"Bearer alice-token")]
    assert (await pipeline.judge(AccessRequest("GET", "/search", headers=headers))).passed
    assert reviews.namespaces == []
