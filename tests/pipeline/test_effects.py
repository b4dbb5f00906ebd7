"""Effects are planned by the pipeline: all of those that a route needs, as values."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from tests.harness.fakes import run_pending
from tests.pipeline.world import KNOWN, OWN, SIBLING, V2, World
from workspace_authz.catalog.build import EXPERIMENT, body, experiments
from workspace_authz.catalog.compile import compile_routes
from workspace_authz.catalog.listing import Listing
from workspace_authz.catalog.model import Guarded, Identifier, Requirement, Route
from workspace_authz.catalog.stamp import Shape, Stamp
from workspace_authz.effects.effects import EffectKind, Effects
from workspace_authz.errors import BadRequestError, UnappliedEffectError
from workspace_authz.mlflow_adapter.reading.request import GivenBody
from workspace_authz.pipeline.verdict import Pass, Verdict, demand_applicable
from workspace_authz.types import Resource, Verb

NARROWED_AND_STAMPED = Route(
    "POST",
    "/both",
    "SearchRuns",
    Guarded(
        (
            Requirement(
                Verb.LIST,
                Resource.EXPERIMENTS,
                names=(body("experiment_ids[]", Identifier.EXPERIMENT_ID),),
                listing=Listing(),
            ),
        )
    ),
    stamps=(Stamp(Shape.FIELD, "created_by"),),
)


def effects_of(verdict: Verdict) -> Effects:
    assert isinstance(verdict, Pass), verdict.error
    return verdict.effects


async def test_a_route_that_is_narrowed_and_stamped_gets_both() -> None:
    world = World("list experiments fraud")
    world.pipeline = replace(world.pipeline, catalog=compile_routes([NARROWED_AND_STAMPED]))
    effects = effects_of(await world.judge("POST", "/both", experiment_ids=["7", "8"]))
    assert effects.replacement is not None
    assert json.loads(effects.replacement.content) == {"created_by": "alice", "experiment_ids": ["7"]}
    assert effects.kinds >= {EffectKind.REQUEST, EffectKind.CALLER}


async def test_a_stamp_alone_replaces_the_body_and_nothing_else() -> None:
    world = World("update experiments")
    effects = effects_of(await world.judge("POST", f"{V2}/runs/set-tag", key="mlflow.user", value="bob"))
    assert effects.replacement is not None
    assert json.loads(effects.replacement.content) == {"key": "mlflow.user", "value": "alice"}
    assert effects.replacement.query is None


async def test_a_body_that_cannot_be_stamped_is_refused_by_the_pipeline() -> None:
    """Seen: ``runs/set-tag`` with the body ``[1,2]`` was allowed by explain and 400 at the server."""
    world = World("update experiments")
    request = world.request("POST", f"{V2}/runs/set-tag")
    verdict = await world.pipeline.judge(replace(request, body=GivenBody(b"[1,2]")))
    assert isinstance(verdict.error, BadRequestError)


async def test_a_door_refuses_what_it_cannot_apply() -> None:
    world = World("update experiments")
    verdict = await world.judge("POST", f"{V2}/runs/set-tag", key="mlflow.user", value="bob")
    assert demand_applicable(verdict, frozenset(EffectKind)) is verdict
    refused = demand_applicable(verdict, frozenset(EffectKind) - {EffectKind.REQUEST})
    assert isinstance(refused.error, UnappliedEffectError)
    assert "request" in refused.error.message
    assert refused.findings == verdict.findings


async def test_rights_on_several_names_are_asked_at_once_and_bounded() -> None:
    known = {str(number): f"experiment-{number}" for number in range(100, 200)}
    world = World("get experiments nothing")
    world.objects.known = {**KNOWN, **known}
    needed = experiments(Verb.GET, body("experiment_ids[]", Identifier.EXPERIMENT_ID))
    route = Route("POST", "/many", "Many", Guarded((needed,)))
    world.pipeline = replace(world.pipeline, catalog=compile_routes([route]))
    assert not (await world.judge("POST", "/many", experiment_ids=["7"])).passed  # the caller is known now
    asked = len(world.reviews.questions)
    world.reviews.hold()
    judging = asyncio.create_task(world.judge("POST", "/many", experiment_ids=[*known, *known]))
    await run_pending()
    assert len(world.reviews.questions) - asked == 32
    world.reviews.release()
    verdict = await judging
    named = [each.name for each in world.reviews.questions[asked:] if each.verb is Verb.GET]
    assert sorted(named) == sorted(known.values())
    assert len(verdict.findings.checks) == 1 + len(known)


@pytest.mark.parametrize("run", [OWN, SIBLING])
async def test_each_name_is_asked_once_in_a_request(run: str) -> None:
    world = World("get experiments fraud", "get experiments churn")
    needed = experiments(Verb.GET, body("run_id", Identifier.RUN_ID))
    route = Route("POST", "/twice", "Twice", Guarded((needed, replace(needed, names=(EXPERIMENT,)))))
    world.pipeline = replace(world.pipeline, catalog=compile_routes([route]))
    other = "7" if run == OWN else "8"
    assert (await world.judge("POST", "/twice", run_id=run, experiment_id=other)).passed
    named = [question.name for question in world.reviews.questions if question.name]
    assert len(named) == len(set(named)) == 1
