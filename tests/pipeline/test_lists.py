"""Lists for holders of rights on single objects: less is asked of MLflow, or less of its answer is shown."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.harness.fakes import NO
from tests.pipeline.known_objects import KnownObjects
from tests.pipeline.world import KNOWN, V2, World, narrowing_of
from workspace_authz.authorizer.named_rights import NamedRights
from workspace_authz.catalog.model import Guarded, Origin
from workspace_authz.doors.explain import explain, lines
from workspace_authz.effects.ciphers import AesCipher
from workspace_authz.effects.effects import Narrowing
from workspace_authz.effects.lists import AnswerFilter
from workspace_authz.errors import BadRequestError, ForbiddenError, UnavailableError
from workspace_authz.kubernetes.reviews import RulesAnswer
from workspace_authz.pipeline.case import ListRights
from workspace_authz.pipeline.lists import MOST_NAMES
from workspace_authz.pipeline.parts import MLflowAtHand
from workspace_authz.pipeline.verdict import SHOWN_CHECKS, Verdict, reason, record
from workspace_authz.types import Attributes, Caller

V3 = "/api/3.0/mlflow"
FRAUD = "list experiments fraud"
BOTH = (FRAUD, "list experiments churn")
SEARCH = ("POST", f"{V2}/experiments/search")


def narrowing(verdict: Verdict) -> Narrowing:
    assert verdict.passed, verdict.error
    found = narrowing_of(verdict)
    assert found is not None
    return found


def filtered(verdict: Verdict) -> AnswerFilter:
    """How MLflow's answer is filtered."""
    rule = narrowing(verdict).answer
    assert isinstance(rule, AnswerFilter)
    return rule


def sent(verdict: Verdict) -> Mapping[str, Any]:
    """The fields of the request that MLflow gets."""
    request = narrowing(verdict).request
    assert request is not None
    if request.content:
        document: Mapping[str, Any] = json.loads(request.content)
        return document
    return parse_qs((request.query or b"").decode())


def locations(*ids: str) -> list[dict[str, Any]]:
    return [{"type": 1, "mlflow_experiment": {"experiment_id": each}} for each in ids]


# The request names experiments.


async def test_what_may_not_be_seen_is_taken_out_of_the_request() -> None:
    world = World(FRAUD)
    fields: dict[str, Any] = {
        "experiment_ids": ["8", "7", "9"],
        "filter": "x",
        "max_results": 5,
        "order_by": ["a", "b"],
    }
    verdict = await world.judge("POST", f"{V2}/runs/search", **fields)
    assert sent(verdict) == {**fields, "experiment_ids": ["7"]}
    assert narrowing(verdict).names == ("fraud",)
    assert narrowing(verdict).answer is None


@pytest.mark.parametrize("ids", [["7"], ["7", "7"]])
async def test_a_request_for_nothing_else_goes_on_as_it_came(ids: list[str]) -> None:
    verdict = await World(FRAUD).judge("POST", f"{V2}/runs/search", experiment_ids=ids)
    assert narrowing(verdict).request is None


async def test_a_query_is_narrowed_like_a_body() -> None:
    query = "experiment_ids=8&experiment_ids=7&max_results=5&filter=a%26b"
    verdict = await World(FRAUD).judge("GET", f"{V2}/traces", query=query)
    assert sent(verdict) == {"experiment_ids": ["7"], "max_results": ["5"], "filter": ["a&b"]}


async def test_places_of_traces_are_taken_out_whole() -> None:
    verdict = await World(FRAUD).judge("POST", f"{V3}/traces/search", locations=locations("8", "7"))
    assert sent(verdict) == {"locations": locations("7")}


async def test_a_place_that_is_no_experiment_is_refused() -> None:
    verdict = await World(FRAUD).judge(
        "POST", f"{V3}/traces/search", locations=[*locations("7"), {"type": 2}]
    )
    assert isinstance(verdict.error, BadRequestError)


@pytest.mark.parametrize("ids", [["8"], ["9"], ["8", "9"], [], None])
async def test_nothing_left_is_refused_in_the_same_words(ids: list[str] | None) -> None:
    fields: dict[str, Any] = {} if ids is None else {"experiment_ids": ids}
    verdict = await World(FRAUD).judge("POST", f"{V2}/runs/search", **fields)
    assert isinstance(verdict.error, ForbiddenError)
    assert "churn" not in reason(verdict)
    assert reason(verdict) == reason(await World().judge(*SEARCH))


@pytest.mark.parametrize("path", ["traces/calculate-filter-correlation", "traces/metrics"])
async def test_figures_over_several_experiments_need_all(path: str) -> None:
    world = World(FRAUD)
    assert (await world.judge("POST", f"{V3}/{path}", experiment_ids=["7"])).passed
    assert not (await world.judge("POST", f"{V3}/{path}", experiment_ids=["7", "8"])).passed


# The request asks for everything.


async def test_a_search_gets_a_clause_before_the_callers_filter() -> None:
    world = World(*BOTH)
    fields: dict[str, Any] = {
        "filter": "tags.x = 'y'",
        "view_type": 3,
        "order_by": ["name"],
        "page_token": "abc",
    }
    verdict = await world.judge(*SEARCH, **fields)
    assert sent(verdict) == {**fields, "filter": "experiment_id IN (7,8) AND tags.x = 'y'"}
    assert narrowing(verdict).names == ("churn", "fraud")
    verdict = await world.judge("GET", f"{V2}/experiments/search", query="max_results=3")
    assert sent(verdict) == {"max_results": ["3"], "filter": ["experiment_id IN (7,8)"]}


async def test_other_searches_name_names() -> None:
    world = World("list registeredmodels fraud", "list datasets churn", "list mcpservers fraud")
    verdict = await world.judge("GET", f"{V2}/registered-models/search", query="filter=a")
    assert sent(verdict) == {"filter": ["name IN (fraud) AND a"]}
    verdict = await world.judge("POST", f"{V3}/datasets/search", experiment_ids=["9"])
    assert sent(verdict) == {"experiment_ids": ["9"], "filter_string": "name IN (churn)"}
    verdict = await world.judge("GET", f"{V3}/mcp-servers/endpoints", query="order_by=a&order_by=b")
    assert sent(verdict) == {"order_by": ["a", "b"], "filter_string": ["server_name IN (fraud)"]}


async def test_ids_are_put_in_where_their_absence_means_everything() -> None:
    world = World("get experiments fraud")
    assert sent(await world.judge("GET", f"{V3}/scorers/list")) == {"experiment_ids": ["7"]}
    verdict = await world.judge("GET", f"{V3}/scorers/list", query="experiment_ids=7&experiment_ids=8")
    assert sent(verdict) == {"experiment_ids": ["7"]}
    assert narrowing(await world.judge("GET", f"{V3}/scorers/list", query="experiment_id=7")).request is None
    assert not (await world.judge("GET", f"{V3}/scorers/list", query="experiment_id=8")).passed


async def test_an_older_mlflow_s_answer_is_filtered() -> None:
    world = World("get experiments fraud", FRAUD)
    world.objects.fields = world.objects.clauses = False
    rule = filtered(await world.judge("GET", f"{V3}/scorers/list"))
    assert (rule.items, rule.identity, rule.allowed, rule.pages) == (
        "scorers",
        ("experiment_id",),
        frozenset({"7"}),
        None,
    )
    rule = filtered(await world.judge(*SEARCH, filter="x", max_results=4))
    assert (rule.items, rule.identity, rule.allowed) == ("experiments", ("experiment_id",), frozenset({"7"}))
    assert rule.pages is not None
    assert rule.pages.fields == {"filter": "x", "max_results": 4}


async def test_issues_of_all_experiments_are_filtered_and_those_of_one_are_not() -> None:
    world = World(FRAUD)
    assert filtered(await world.judge("POST", f"{V3}/issues/search", max_results=2)).pages is not None
    assert narrowing(await world.judge("POST", f"{V3}/issues/search", experiment_id="7")).answer is None
    assert not (await world.judge("POST", f"{V3}/issues/search", experiment_id="8")).passed


async def test_lists_that_cannot_be_narrowed_are_filtered_by_name_or_id() -> None:
    world = World("list gatewayendpoints fraud", FRAUD)
    for path, items, identity, allowed in (
        ("/gateway/mlflow/v1/models", "data", "id", "fraud"),
        (f"{V3}/gateway/endpoints/list", "endpoints", "name", "fraud"),
        (f"{V3}/gateway/endpoints/bindings/list", "bindings", "endpoint_id", "7"),
    ):
        rule = filtered(await world.judge("GET", path))
        assert (rule.items, rule.identity) == (items, (identity,))
        assert allowed in rule.allowed
    rule = filtered(await world.judge("POST", "/ajax-api/3.0/jobs/search", params={}))
    assert (rule.items, rule.identity) == ("jobs", ("params", "experiment_id"))


async def test_every_list_that_can_be_named_is_served() -> None:
    """Of the whole catalog, with a right on one object and a request that names none."""
    for entry in World().pipeline.catalog.entries:
        policy = entry.route.policy
        if not isinstance(policy, Guarded) or entry.route.operation == "GraphQL":
            continue
        for needed in policy.requirements:
            if all(source.origin is not Origin.RESPONSE for source in needed.names):
                continue
            verdict = await World(f"{needed.verb} {needed.resource} fraud").judge(entry.method, entry.path)
            assert narrowing(verdict).names == ("fraud",), entry


# Who may see what.


async def test_every_name_is_confirmed() -> None:
    world = World(*BOTH)
    world.held = (FRAUD,)  # the rules are older than the reviews
    verdict = await world.judge(*SEARCH)
    assert sent(verdict) == {"filter": "experiment_id IN (7)"}
    assert {asked.name for asked in world.reviews.questions} == {"", "fraud", "churn"}


async def test_names_without_objects_cost_no_question() -> None:
    world = World(FRAUD, *(f"list experiments other-{number}" for number in range(500)))
    assert (await world.judge(*SEARCH)).passed
    assert [asked.name for asked in world.reviews.questions] == ["", "fraud"]


async def test_a_right_on_what_is_not_there_yet_is_an_empty_list_and_none_is_a_refusal() -> None:
    verdict = await World("list experiments later").judge(*SEARCH)
    rule = filtered(verdict)
    assert (rule.allowed, narrowing(verdict).names) == (frozenset(), ())
    world = World("list experiments later")
    world.reviews.may_answer = NO
    for refused in (await world.judge(*SEARCH), await World("get experiments fraud").judge(*SEARCH)):
        assert isinstance(refused.error, ForbiddenError)
        assert "is forbidden" in reason(refused)


async def test_a_broad_right_narrows_nothing_and_reads_nothing() -> None:
    world = World("list experiments", FRAUD)
    verdict = await world.judge(*SEARCH, page_token="any")
    assert verdict.passed
    assert narrowing_of(verdict) is None
    assert (world.objects.read, world.reviews.namespaces) == (0, [])


async def test_where_nobody_can_say_which_names_the_refusal_says_so() -> None:
    world = World()
    world.reviews.rules_answer = RulesAnswer((), incomplete=True)
    verdict = await world.judge(*SEARCH)
    assert isinstance(verdict.error, ForbiddenError)
    assert "cannot be looked up" in reason(verdict)


async def test_more_names_than_a_list_takes_are_refused_with_the_remedy() -> None:
    names = [f"n{number}" for number in range(MOST_NAMES + 1)]
    world = World(*(f"list experiments {name}" for name in names))
    world.objects.known = {chr(number): name for number, name in enumerate(names, 60)}
    verdict = await world.judge(*SEARCH)
    assert isinstance(verdict.error, ForbiddenError)
    assert str(MOST_NAMES) in reason(verdict)


async def test_a_length_tells_nothing() -> None:
    assert not (await World(FRAUD).judge("HEAD", f"{V2}/experiments/search")).passed
    assert (await World("list experiments").judge("HEAD", f"{V2}/experiments/search")).passed


@pytest.mark.parametrize("broken", ["rules", "reviews", "database"])
async def test_without_an_answer_there_is_no_list(broken: str) -> None:
    world = World(FRAUD)
    if broken == "rules":
        world.reviews.rules_answer = UnavailableError("down")
    elif broken == "reviews":
        world.reviews.may_answer = lambda asked: NO if not asked.name else _down()
    else:
        world.objects.error = UnavailableError("down")
    assert isinstance((await world.judge(*SEARCH)).error, UnavailableError)


def _down() -> Any:
    raise UnavailableError("down")


class Known:
    """A second source: an index of RBAC objects."""

    async def candidates(self, caller: Caller, broad: Attributes) -> frozenset[str] | None:
        return frozenset({"fraud"})


async def test_another_source_may_know_the_names() -> None:
    world = World(FRAUD)
    world.reviews.rules_answer = UnavailableError("not asked")
    lists = ListRights(NamedRights((Known(),)), AesCipher(None))
    world.pipeline = replace(world.pipeline, mlflow=MLflowAtHand(world.objects, world.objects, lists=lists))
    assert sent(await world.judge(*SEARCH)) == {"filter": "experiment_id IN (7)"}


# Page tokens.


async def test_a_token_of_ours_is_no_token_of_mlflow() -> None:
    verdict = await World(FRAUD).judge(*SEARCH, page_token="wsa.AAAA")
    assert isinstance(verdict.error, BadRequestError)
    assert "page token" in reason(verdict)


async def test_a_token_of_mlflows_is_none_of_ours() -> None:
    token = base64.b64encode(b'{"offset": 5}').decode()
    verdict = await World(FRAUD).judge("POST", f"{V3}/issues/search", page_token=token)
    assert isinstance(verdict.error, BadRequestError)
    assert "page token" in reason(verdict)


# What cannot be narrowed for sure is refused.


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", f"{V3}/mcp-servers", "filter_string=a&filter_string=b"),
        ("GET", f"{V2}/experiments/search", "a=%ff"),
    ],
)
async def test_a_request_with_two_readings_is_refused(method: str, path: str, query: str) -> None:
    world = World("list mcpservers fraud", FRAUD)
    if "%ff" in query:
        world.objects.error = BadRequestError("unreadable")
    assert isinstance((await world.judge(method, path, query=query)).error, BadRequestError)


class Forgetful(KnownObjects):
    """Reads less in a request that was written anew."""

    async def message(self, *given: Any, **named: Any) -> Mapping[str, Any]:
        read = await super().message(*given, **named)
        return {} if self.read > 1 else read


async def test_a_narrowed_request_is_read_back() -> None:
    world = World(FRAUD)
    world.objects = Forgetful(KNOWN)
    assert world.pipeline.mlflow is not None
    mlflow = replace(world.pipeline.mlflow, reading=world.objects, store=world.objects)
    world.pipeline = replace(world.pipeline, mlflow=mlflow)
    verdict = await world.judge("POST", f"{V2}/runs/search", experiment_ids=["7", "8"])
    assert isinstance(verdict.error, BadRequestError)


# What is told and written down.


async def test_the_record_and_an_explanation_show_it() -> None:
    world = World(*BOTH)
    explained = (await explain(world.pipeline, world.request(*SEARCH))).document()
    assert explained["narrowed"] == {
        "resource": "experiments",
        "names": ["churn", "fraud"],
        "count": 2,
        "in": "request",
    }
    assert "narrowed   experiments to churn, fraud (2 in all), in the request" in lines(explained)
    assert [check.get("name") for check in explained["checks"]] == [None, "churn", "fraud"]


async def test_a_refusal_tells_no_name() -> None:
    world = World(*BOTH)
    world.reviews.may_answer = NO
    explained = (await explain(world.pipeline, world.request(*SEARCH))).document()
    assert "narrowed" not in explained
    assert "fraud" not in str(explained)


async def test_a_long_record_is_cut() -> None:
    names = [f"n{number}" for number in range(100)]
    world = World(*(f"list experiments {name}" for name in names))
    world.objects.known = {chr(number): name for number, name in enumerate(names, 60)}
    shown = record(await world.judge(*SEARCH))
    assert (len(shown["checks"]), shown["checks_left_out"]) == (SHOWN_CHECKS, 101 - SHOWN_CHECKS)
    assert (len(shown["narrowed"]["names"]), shown["narrowed"]["count"]) == (20, 100)
