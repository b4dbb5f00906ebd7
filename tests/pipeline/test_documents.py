"""What the fields of a document demand."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.pipeline.test_single_objects import asked
from tests.pipeline.world import OWN, SIBLING, World, narrowing_of
from workspace_authz.authorizer.named_rights import NamedRights
from workspace_authz.catalog.graphql import DOCUMENT, FieldCall
from workspace_authz.effects.ciphers import AesCipher
from workspace_authz.effects.graphql_answers import ElementFilter, Place
from workspace_authz.errors import BadRequestError, ForbiddenError
from workspace_authz.pipeline.case import ListRights
from workspace_authz.pipeline.documents import field_demands
from workspace_authz.pipeline.parts import MLflowAtHand
from workspace_authz.pipeline.verdict import Verdict, reason, record
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
    clauses: bool = True,
    obedient: bool = True,
) -> Verdict:
    world = World(*held)
    world.objects = replace(world.objects, clauses=clauses, obedient=obedient)
    world.objects.calls = calls
    lists = ListRights(NamedRights((Names(candidates),)), AesCipher(None))
    pipeline = replace(world.pipeline, mlflow=MLflowAtHand(world.objects, world.objects, lists=lists))
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


def written(verdict: Verdict) -> Any:
    """The changes to the document of a verdict that passes; None if there are none."""
    assert verdict.passed, reason(verdict)
    narrowing = narrowing_of(verdict)
    replacement = narrowing.request if narrowing else None
    return json.loads(replacement.content)["changes"] if replacement else None


@pytest.mark.parametrize("experiments", [("7", "8"), ("8", "7"), ("8", "7", "9", "8")])
async def test_a_search_is_kept_to_the_experiments_that_may_be_listed(experiments: tuple[str, ...]) -> None:
    verdict = await judged(runs(*experiments), held=("list experiments fraud",))
    assert written(verdict) == {"a": {"experiment_ids": ["7"]}}
    assert record(verdict)["narrowed"]["names"] == ["fraud"]


@pytest.mark.parametrize("experiments", [("7", ""), ("7", None), ("7", 8), (), ("8",), ("8", "9")])
async def test_a_search_without_an_experiment_that_may_be_listed_is_refused(
    experiments: tuple[object, ...],
) -> None:
    assert not (await judged(runs(*experiments), held=("list experiments fraud",))).passed


async def test_what_need_not_be_changed_is_not() -> None:
    assert written(await judged(runs("7", "7"), held=("list experiments fraud",))) is None
    assert written(await judged(runs("7", "8"), held=("list experiments",))) is None


async def test_each_search_is_kept_by_itself() -> None:
    searches = [
        call("Query.mlflowSearchRuns", path=path, experiment_ids=list(ids))
        for path, ids in (("a", "78"), ("b", "7"), ("c", "87"))
    ]
    held = ("list experiments fraud",)
    assert written(await judged(*searches, held=held)) == {
        "a": {"experiment_ids": ["7"]},
        "c": {"experiment_ids": ["7"]},
    }
    none = call("Query.mlflowSearchRuns", path="d", experiment_ids=["8"])
    assert not (await judged(*searches, none, held=held)).passed


async def test_the_versions_that_are_searched_are_kept_to_models_that_may_be_listed() -> None:
    searches = [
        call("Query.mlflowSearchModelVersions", path="a"),
        call("Query.mlflowSearchModelVersions", path="b", filter="run_id = 'x'", page_token="t"),
    ]
    verdict = await judged(
        *searches, runs("7", "8"), held=("list registeredmodels fraud", "list experiments")
    )
    assert written(verdict) == {
        "a": {"filter": "name IN (fraud)"},
        "b": {"filter": "name IN (fraud) AND run_id = 'x'"},
    }
    assert not (await judged(*searches, held=("list registeredmodels fraud",), method="HEAD")).passed


async def test_who_may_list_only_a_model_that_does_not_exist_searches_for_that() -> None:
    verdict = await judged(
        call("Query.mlflowSearchModelVersions"),
        held=("list registeredmodels later",),
        candidates=frozenset({"later", "never"}),
    )
    assert written(verdict) == {"a": {"filter": "name IN (later)"}}


@pytest.mark.parametrize("candidates", [None, frozenset(), frozenset({"churn"})])
async def test_who_may_list_no_model_searches_for_none(candidates: frozenset[str] | None) -> None:
    search = call("Query.mlflowSearchModelVersions")
    verdict = await judged(search, held=("get registeredmodels fraud",), candidates=candidates)
    assert isinstance(verdict.error, ForbiddenError)


async def test_a_search_that_mlflow_cannot_narrow_is_refused_with_the_reason() -> None:
    search = call("Query.mlflowSearchModelVersions")
    verdict = await judged(search, held=("list registeredmodels fraud",), clauses=False)
    assert isinstance(verdict.error, ForbiddenError)
    assert "REST" in reason(verdict)


async def test_a_document_that_reads_otherwise_than_it_was_meant_is_refused() -> None:
    verdict = await judged(runs("7", "8"), held=("list experiments fraud",), obedient=False)
    assert isinstance(verdict.error, BadRequestError)


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
    both = (runs("7", "8"), call(inside.field, path="a.runs.[].experiment", experiment_ids=["7", "8"]))
    verdict = await judged(*both, held=(*held, "get experiments fraud"))
    assert written(verdict) == {"a": {"experiment_ids": ["7"]}}
    every = ("list experiments fraud", "list experiments churn", "get experiments fraud")
    assert not (await judged(*both, held=every)).passed
    models = call("Query.mlflowSearchModelVersions")
    assert not (await judged(models, held=("get experiments", "get registeredmodels"))).passed
    assert written(await judged(models, held=("list registeredmodels",))) is None


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
    narrowing = narrowing_of(verdict)
    assert narrowing is not None
    assert narrowing.answer == ElementFilter(
        (Place(("a", "run", "modelVersions"), ("name", "n")),), frozenset({"fraud"})
    )


async def test_a_document_is_kept_in_both_ways_at_once() -> None:
    inside = call(RUN_MODELS, path="a.runs.[].modelVersions")
    held = ("list experiments fraud", "list registeredmodels fraud")
    verdict = await judged(runs("7", "8"), inside, held=held)
    assert written(verdict) == {"a": {"experiment_ids": ["7"]}}
    narrowing = narrowing_of(verdict)
    assert narrowing is not None
    assert narrowing.answer is not None
    assert narrowing.resource == "experiments, registeredmodels"


@pytest.mark.parametrize("candidates", [None, frozenset(), frozenset({"churn"})])
async def test_whoever_may_list_no_model_sees_a_run_without(candidates: frozenset[str] | None) -> None:
    verdict = await judged(*versions(), held=("get experiments fraud",), candidates=candidates)
    assert verdict.passed
    narrowing = narrowing_of(verdict)
    assert narrowing is not None
    assert narrowing.answer == ElementFilter((Place(("a", "run", "modelVersions"), ()),), frozenset())


async def test_whoever_may_list_all_models_sees_all() -> None:
    verdict = await judged(*versions(), held=("get experiments fraud", "list registeredmodels"))
    assert verdict.passed
    assert narrowing_of(verdict) is None


async def test_the_length_of_what_is_hidden_is_not_told() -> None:
    held = ("get experiments fraud", "list registeredmodels fraud")
    assert not (await judged(*versions(), held=held, method="HEAD")).passed
    assert (await judged(run(OWN), held=held, method="HEAD")).passed


async def test_a_field_that_the_catalog_does_not_know_is_refused_to_everybody() -> None:
    for field in ("Query.mlflowDeleteEverything", "MlflowRunExtension.secrets", "Mutation.mlflowGetRun"):
        verdict = await judged(run(OWN), call(field), held=EVERYTHING)
        assert isinstance(verdict.error, ForbiddenError)
        assert field in reason(verdict)


async def test_what_is_a_part_of_what_was_found_needs_nothing_more() -> None:
    part = call("MlflowGetRunResponse.run", computed=False, path="a.run")
    assert (await judged(run(OWN), part, held=("get experiments fraud",))).passed


async def test_a_document_that_touches_nothing_is_for_who_holds_any_right() -> None:
    for calls in ((), (call("Query.test"),)):
        assert not (await judged(*calls, held=())).passed


async def test_a_body_that_is_too_large_is_refused() -> None:
    class Large:
        @property
        def limit(self) -> int:
            return 1000

        async def read(self, at_most: int | None = None) -> bytes | None:
            return None

    world = World(*EVERYTHING)
    request = world.request("POST", "/graphql")
    request = type(request)(request.method, request.path, headers=request.headers, body=Large())
    assert isinstance((await world.pipeline.judge(request)).error, BadRequestError)


def test_requirements_come_in_the_catalogs_order() -> None:
    calls = [call("MlflowRunExtension.modelVersions"), runs("7"), run(OWN), run(SIBLING)]
    assert [(need.graphql_field, found) for need, found in field_demands(DOCUMENT, calls)] == [
        ("Query.mlflowGetRun", calls[2]),
        ("Query.mlflowGetRun", calls[3]),
        ("Query.mlflowSearchRuns", calls[1]),
        ("MlflowRunExtension.modelVersions", calls[0]),
    ]
