"""Places of artifacts: whoever names one needs the right on the experiment in which it lies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.pipeline.world import KNOWN, V2, World
from workspace_authz.errors import ForbiddenError
from workspace_authz.pipeline.verdict import checks_for_caller
from workspace_authz.restrictions.restrictions import Restrictions
from workspace_authz.restrictions.shared_sources import shared_sources

VERSIONS, EXPERIMENTS = f"{V2}/model-versions/create", f"{V2}/experiments/create"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
MODEL = ("update registeredmodels m", "get registeredmodels m")
IN_FRAUD = (
    *(
        "s3://bucket/7",
        "s3://bucket/7/run/artifacts/m",
        "S3://bucket/7/m",
        "gs://bucket/7/m",
        "hdfs://host/7",
    ),
    *("mlflow-artifacts:/7/run", "mlflow-artifacts:/workspaces/team-a/7", "/7/m", "file:///7/m"),
)


@pytest.mark.parametrize("source", IN_FRAUD)
async def test_a_version_demands_get_on_the_experiment_of_its_source(source: str) -> None:
    refused = await World(*MODEL).judge("POST", VERSIONS, name="m", source=source)
    assert isinstance(refused.error, ForbiddenError)
    assert "get" in refused.error.message
    assert "experiments" in refused.error.message
    of_another = World(*MODEL, "get experiments churn")
    assert not (await of_another.judge("POST", VERSIONS, name="m", source=source)).passed
    named = World(*MODEL, "get experiments fraud")
    named.pipeline = replace(named.pipeline, restrictions=Restrictions(store=named.objects))
    assert (await named.judge("POST", VERSIONS, name="m", source=source)).passed


@pytest.mark.parametrize(
    "source", ["s3://bucket/9/run", "s3://bucket", "mlflow-artifacts:/9", "https://host/9"]
)
async def test_a_place_in_no_experiment_is_refused_with_a_named_right(source: str) -> None:
    world = World(*MODEL, "get experiments fraud")
    assert not (await world.judge("POST", VERSIONS, name="m", source=source)).passed


async def test_a_name_that_was_looked_up_is_not_told() -> None:
    verdict = await World(*MODEL).judge("POST", VERSIONS, name="m", source=IN_FRAUD[0])
    assert verdict.error is not None
    assert KNOWN["7"] not in verdict.error.message
    assert all(KNOWN["7"] != check.attributes.name for check in checks_for_caller(verdict))


async def test_a_prompt_is_in_no_place() -> None:
    verdict = await World(*MODEL).judge("POST", VERSIONS, name="m", source="prompt-template")
    assert verdict.error is None


async def test_a_path_below_the_proxy_is_of_its_experiment() -> None:
    world = World("get experiments fraud")
    assert (await world.judge("GET", f"{ARTIFACTS}/7/run/a.txt")).passed
    assert not (await world.judge("GET", f"{ARTIFACTS}/8/run/a.txt")).passed
    assert not (await world.judge("GET", f"{ARTIFACTS}/9/run/a.txt")).passed
    assert not (await world.judge("PUT", f"{ARTIFACTS}/7/run/a.txt")).passed


async def test_a_location_within_an_experiment_demands_update_on_that() -> None:
    world = World("create experiments", "get experiments fraud")
    for location in ("mlflow-artifacts:/7", "mlflow-artifacts:/7/run", "s3://bucket/7/run"):
        verdict = await world.judge("POST", EXPERIMENTS, name="x", artifact_location=location)
        assert isinstance(verdict.error, ForbiddenError), location
    holder = World("create experiments", "update experiments fraud")
    inside = {"name": "x", "artifact_location": "mlflow-artifacts:/7/run"}
    assert (await holder.judge("POST", EXPERIMENTS, **inside)).passed
    for free in ({}, {"artifact_location": "mlflow-artifacts:/x"}, {"artifact_location": ""}):
        assert (await world.judge("POST", EXPERIMENTS, name="x", **free)).passed


async def test_a_shared_place_demands_no_right_on_experiments() -> None:
    """It lies in none. Rights on one model do, and those on all models."""
    shared = shared_sources("s3://models/shared,s3://bucket/7")
    for held in (MODEL, ("update registeredmodels",)):
        world = World(*held)
        world.pipeline = replace(
            world.pipeline, restrictions=Restrictions(shared=shared, store=world.objects)
        )
        for source, passed in {
            "s3://models/shared/x": True,
            "s3://models/x": False,
            "s3://bucket/9/x": False,
            "s3://bucket/7/x": False,  # of an experiment all the same
        }.items():
            verdict = await world.judge("POST", VERSIONS, name="m", source=source)
            assert verdict.passed is passed, source
    nobody = World("get registeredmodels m")
    nobody.pipeline = replace(nobody.pipeline, restrictions=Restrictions(shared=shared))
    assert not (await nobody.judge("POST", VERSIONS, name="m", source="s3://models/shared/x")).passed
