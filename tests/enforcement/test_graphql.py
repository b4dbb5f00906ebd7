"""What the fields of a document demand."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from tests.enforcement.test_single_objects import asked
from tests.enforcement.world import OWN, SIBLING, World
from workspace_authz.authorizer.names import NamedRights
from workspace_authz.catalog.graphql import DOCUMENT, FieldCall
from workspace_authz.enforcement.graphql import demanded
from workspace_authz.enforcement.graphql_answers import ElementFilter, Place
from workspace_authz.enforcement.narrowing import Lists
from workspace_authz.enforcement.sealing import AesSeal
from workspace_authz.enforcement.verdict import Verdict
from workspace_authz.errors import BadRequestError, ForbiddenError
from workspace_authz.types import Attributes, Caller

RUN_MODELS = "MlflowRunExtension.modelVersions"
EVERYTHING = tuple(dict.fromkeys(f"{need.verb} {need.resource}" for need in DOCUMENT.requirements))


def call(field: str, *, computed: bool = True, path: str = "a", **given: object) -> FieldCall:
    return FieldCall(field, computed, tuple(path.split(".")), {"input": given} if given else {})


@dataclass
class Names:
    """Where names to ask about come from."""

    names: frozenset[str] | None

    async def candidates(self, caller: Caller, broad: Attributes) -> frozenset[str] | None:
        return self.names


async def judged(
    *calls: FieldCall,
    held: tuple[str, ...],
    method: str = "POST",
    candidates: frozenset[str] | None = frozenset({"fraud", "churn"}),
) -> Verdict:
    world = World(*held)
    world.objects.calls = calls
    rights = NamedRights(world.pipeline.authorizer, (Names(candidates),))
    pipeline = replace(world.pipeline, lists=Lists(rights, AesSeal(None)))
    return await pipeline.judge(world.request(method, "/graphql"))


def run(number: str) -> FieldCall:
    return call("Query.mlflowGetRun", run_id=number)


def runs(*experiments: object) -> FieldCall:
    return call("Query.mlflowSearchRuns", experiment_ids=list(experiments))


async def test_each_field_is_asked_for_broadly_and_then_by_its_names() -> None:
    verdict = await judged(run(OWN), runs("7"), held=("get experiments fraud", "list experiments fraud"))
    assert verdict.passed
    assert asked(verdict) == ["get *", "get fraud", "list *", "list fraud"]


async def test_every_instance_of_a_field_counts() -> None:
    held = ("get experiments fraud",)
    assert (await judged(run(OWN), run(OWN), held=held)).passed
    assert not (await judged(run(OWN), run(SIBLING), held=held)).passed
    assert not (await judged(run(SIBLING), run(OWN), held=held)).passed


@pytest.mark.parametrize("experiments", [("7", "8"), ("8", "7"), ("7", ""), ("7", None), ("7", 8), ()])
async def test_a_search_needs_every_experiment(experiments: tuple[object, ...]) -> None:
    assert not (await judged(runs(*experiments), held=("list experiments fraud",))).passed
    assert (await judged(runs("7", "7"), held=("list experiments fraud",))).passed


async def test_two_spellings_must_agree() -> None:
    held = ("get experiments fraud",)
    for ids, passes in ((("", OWN), True), ((OWN, OWN), True), ((OWN, SIBLING), False)):
        both = call("Query.mlflowGetRun", run_id=ids[0], run_uuid=ids[1])
        assert (await judged(both, held=held)).passed is passes


async def test_a_field_within_needs_its_own_right() -> None:
    """Who may list a run's data may not so read its experiment or list models."""
    inside = call("MlflowRunExtension.experiment", path="a.runs.[].experiment", experiment_ids=["7"])
    held = ("list experiments fraud",)
    assert not (await judged(runs("7"), inside, held=held)).passed
    assert (await judged(runs("7"), inside, held=(*held, "get experiments fraud"))).passed
    models = call("Query.mlflowSearchModelVersions")
    assert not (await judged(models, held=("get experiments", "list registeredmodels fraud"))).passed
    assert (await judged(models, held=("list registeredmodels",))).passed


def versions(*shown: str) -> list[FieldCall]:
    """``modelVersions`` of a run, with these keys for the names of their models."""
    parts = [call("MlflowModelVersion.version", computed=False, path="a.run.modelVersions.[].version")]
    parts += [
        call("MlflowModelVersion.name", computed=False, path=f"a.run.modelVersions.[].{key}") for key in shown
    ]
    return [run(OWN), call(RUN_MODELS, path="a.run.modelVersions"), *parts]


async def test_the_models_of_a_run_are_kept_to_the_allowed() -> None:
    held = ("get experiments fraud", "list registeredmodels fraud")
    verdict = await judged(*versions("name", "n"), held=held)
    assert verdict.passed
    assert verdict.narrowing is not None
    assert verdict.narrowing.answer == ElementFilter(
        (Place(("a", "run", "modelVersions"), ("name", "n")),), frozenset({"fraud"})
    )


@pytest.mark.parametrize("candidates", [None, frozenset(), frozenset({"churn"})])
async def test_whoever_may_list_no_model_sees_a_run_without(candidates: frozenset[str] | None) -> None:
    verdict = await judged(*versions(), held=("get experiments fraud",), candidates=candidates)
    assert verdict.passed
    assert verdict.narrowing is not None
    assert verdict.narrowing.answer == ElementFilter((Place(("a", "run", "modelVersions"), ()),), frozenset())


async def test_whoever_may_list_all_models_sees_all() -> None:
    verdict = await judged(*versions(), held=("get experiments fraud", "list registeredmodels"))
    assert verdict.passed
    assert verdict.narrowing is None


async def test_the_length_of_what_is_hidden_is_not_told() -> None:
    held = ("get experiments fraud", "list registeredmodels fraud")
    assert not (await judged(*versions(), held=held, method="HEAD")).passed
    assert (await judged(run(OWN), held=held, method="HEAD")).passed


async def test_a_field_that_the_catalog_does_not_know_is_refused_to_everybody() -> None:
    for field in ("Query.mlflowDeleteEverything", "MlflowRunExtension.secrets", "Mutation.mlflowGetRun"):
        verdict = await judged(run(OWN), call(field), held=EVERYTHING)
        assert isinstance(verdict.error, ForbiddenError)
        assert field in verdict.reason


async def test_what_is_a_part_of_what_was_found_needs_nothing_more() -> None:
    part = call("MlflowGetRunResponse.run", computed=False, path="a.run")
    assert (await judged(run(OWN), part, held=("get experiments fraud",))).passed


async def test_a_document_that_touches_nothing_is_for_who_holds_any_right() -> None:
    for calls in ((), (call("Query.test"),)):
        assert not (await judged(*calls, held=())).passed


async def test_a_body_that_is_too_large_is_refused() -> None:
    class Large:
        async def read(self, at_most: int | None = None) -> bytes | None:
            return None

    world = World(*EVERYTHING)
    request = world.request("POST", "/graphql")
    request = type(request)(request.method, request.path, headers=request.headers, body=Large())
    assert isinstance((await world.pipeline.judge(request)).error, BadRequestError)


def test_requirements_come_in_the_catalogs_order() -> None:
    calls = [call("MlflowRunExtension.modelVersions"), runs("7"), run(OWN), run(SIBLING)]
    assert [(need.at, found) for need, found in demanded(DOCUMENT, calls)] == [
        ("Query.mlflowGetRun", calls[2]),
        ("Query.mlflowGetRun", calls[3]),
        ("Query.mlflowSearchRuns", calls[1]),
        ("MlflowRunExtension.modelVersions", calls[0]),
    ]
