"""Where MLflow would refuse a request anyway, the guarded server answers what MLflow answers."""

from __future__ import annotations

import json
import secrets

import pytest

from tests.harness.http import Answer
from tests.isolation.test_model_sources import run
from tests.isolation.world import ARTIFACTS, World
from tests.scenarios.people import TEAM_A, TEAM_B

V2 = "/api/2.0/mlflow"
GRAPHQL, SPANS = "/graphql", "/v1/traces"
JSON, PROTOBUF, TEXT = "application/json", "application/x-protobuf", "text/plain"
MANY = (
    "{"
    + " ".join(
        f'a{n}: mlflowGetRun(input: {{runId: "1"}}) {{ run {{ info {{ runUuid }} }} }}' for n in range(11)
    )
    + "}"
)

BODIES = [
    # Bodies that are not built as MLflow expects.
    *(
        (f"{V2}/experiments/create", body, JSON)
        for body in (
            *('{"name": "a", "tags": {"k": "v"}}', '{"name": "b", "tags": "x"}', '{"name": "c", "tags": 7}'),
            *("{", "", '{"tags": []}', '{"name": 7}', '{"name": {"x": 1}, "tags": 7}'),
        )
    ),
    (f"{V2}/experiments/create", "name=a", TEXT),
    *(
        (f"{V2}/runs/log-batch", body, JSON)
        for body in (
            *('{"run_id": "@run@", "tags": "x"}', '{"run_id": "@run@", "tags": {"k": "v"}}'),
            *('{"run_id": "@run@", "tags": [{"key": 7, "value": "x"}], "metrics": 7}', '{"tags": [7]}'),
            '{"run_id": "@run@", "tags": [{"key": "", "value": "x"}]}',
        )
    ),
    *((f"{V2}/runs/set-tag", body, JSON) for body in ("{", '{"run_id": "@run@"}', '{"key": 7, "value": {}}')),
    (f"{V2}/runs/log-metric", '{"run_id": "@run@", "model_id": "m-1"}', JSON),
    (f"{V2}/registered-models/create", '{"name": "a", "tags": {"k": "v"}}', JSON),
    (f"{V2}/model-versions/create", '{"name": 7, "source": ["x"]}', JSON),
    # GraphQL that MLflow does not execute.
    *(
        (GRAPHQL, json.dumps({"query": text}), JSON)
        for text in (
            *(MANY, "{ nothing }", "query A { __typename } query B { __typename }", "subscription { x }"),
            "query Q($i: String!) { mlflowGetRun(input: {runId: $i}) { run { info { runUuid } } } }",
        )
    ),
    (GRAPHQL, '{"query": "{ __typename }"}', TEXT),
    # Spans.
    *((SPANS, "x", kind) for kind in (TEXT, "", "application/JSON", JSON, PROTOBUF)),
]
PATHS = [
    *(
        ("GET", f"{ARTIFACTS}?path={path}")
        for path in ("../path", "@experiment@/../x", "/etc", "file:///etc")
    ),
    *(("GET", f"{ARTIFACTS}/@experiment@/{path}") for path in ("%2e%2e/x", "%252e%252e/x")),
    *((method, f"{ARTIFACTS}/@experiment@/%2e%2e/x") for method in ("PUT", "DELETE")),
    ("GET", f"{V2}/artifacts/list?run_id=@run@&path=../path"),
    ("GET", "/get-artifact?run_id=@run@&path=../path"),
]


@pytest.fixture(scope="module")
def names(
    guarded: World, guarded_ids: dict[str, str], stock: World, stock_ids: dict[str, str]
) -> dict[int, dict[str, str]]:
    """What stands for ``@run@`` and ``@experiment@`` on each server."""
    return {
        id(world): {"@run@": run(world, ids[TEAM_A])["run_id"], "@experiment@": ids[TEAM_A]}
        for world, ids in ((guarded, guarded_ids), (stock, stock_ids))
    }


def ask(world: World, names: dict[int, dict[str, str]], method: str, path: str, **given: str) -> Answer:
    headers = {"x-mlflow-experiment-id": names[id(world)]["@experiment@"]}
    body = given.get("body")
    if given.get("content_type"):
        headers["Content-Type"] = given["content_type"]
    for name, value in names[id(world)].items():
        path, body = path.replace(name, value), body and body.replace(name, value)
    return world.ask(method, path, headers=headers, body=None if body is None else body.encode())


def told(answer: Answer, names: dict[str, str]) -> tuple[int, object]:
    """Status and body, without what differs between two servers."""
    text = answer.text
    for name, value in names.items():
        text = text.replace(value, name) if len(value) > 8 else text
    found = json.loads(text)
    found.pop("error_class", None)  # 3.17 adds it
    found.pop("sqlstate", None)
    return answer.status, found


@pytest.mark.parametrize(("path", "body", "content_type"), BODIES)
def test_a_body_that_mlflow_refuses(
    guarded: World, stock: World, names: dict[int, dict[str, str]], path: str, body: str, content_type: str
) -> None:
    ours, theirs = (
        told(ask(world, names, "POST", path, body=body, content_type=content_type), names[id(world)])
        for world in (guarded, stock)
    )
    assert theirs[0] in (200, 400, 404, 422), "MLflow's own answer is no answer"
    assert ours == theirs


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_a_path_that_mlflow_refuses(
    guarded: World, stock: World, names: dict[int, dict[str, str]], method: str, path: str
) -> None:
    ours, theirs = (told(ask(world, names, method, path), names[id(world)]) for world in (guarded, stock))
    assert theirs[0] == 400
    assert ours == theirs


def test_whoever_has_no_right_is_told_that_and_nothing_else(
    guarded: World, names: dict[int, dict[str, str]]
) -> None:
    """Authorization comes first, also before what MLflow thinks of a request."""
    stranger = World(guarded.server, {**guarded.tokens, TEAM_A: guarded.tokens[TEAM_B]})
    wanted = names[id(guarded)]
    strangers = {**names, id(stranger): wanted}
    for path, body, content_type in BODIES:
        answer = ask(stranger, strangers, "POST", path, body=body, content_type=content_type)
        assert "parameter" not in answer.text, path
        # What a document asks for, or spans are of, must be read first; nothing is looked up for that.
        assert "Content-Type" not in answer.text or path in (GRAPHQL, SPANS), path
        assert answer.status in (400, 403), (path, answer.text)
    for method, path in PATHS:
        answer = ask(stranger, strangers, method, path)
        assert answer.status in (400, 403), answer.text


def test_what_a_sender_wrote_stays_in_its_order(guarded: World, stock: World) -> None:
    """protobuf's parser stops at a value that it cannot take, and MLflow goes on with what stands before."""
    for world in (guarded, stock):
        text = f'{{"name": "ordered {secrets.token_hex(4)}", "tags": [{{"key": "a", "value": 7}}]}}'
        made = world.ask(
            "POST", f"{V2}/experiments/create", headers={"Content-Type": JSON}, body=text.encode()
        )
        assert made.status == 200, made.text
